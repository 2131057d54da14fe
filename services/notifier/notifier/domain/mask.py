"""Addresses as they may be shown and kept outside the vault: enough to recognise one's own, too little to write to."""

MASK = "*" * 4
HEAD, TAIL = 3, 4  # digits of a phone number that stay, as 138****1234
MIN_DIGITS = HEAD + TAIL + 3  # below that too little would be hidden
MAX_COUNTRY_DIGITS = 4


def mask_phone(phone: str) -> str:
    """`+86 138 0013 1234` is `138****1234`: the country is left out, a short number shows its last two digits."""
    digits = "".join(character for character in phone if character.isdecimal())
    if digits.startswith("86") and phone.strip().startswith(("+", "00", "86")) and len(digits) == len("8613800131234"):
        digits = digits[2:]
    if len(digits) < MIN_DIGITS:
        return MASK + digits[-2:] if len(digits) > MAX_COUNTRY_DIGITS else MASK
    return digits[:HEAD] + MASK + digits[-TAIL:]


def mask_email(email: str) -> str:
    """`li.lei@example.com` is `l***@example.com`: the domain stays, of the person one character."""
    local, at, domain = email.strip().rpartition("@")
    return f"{local[:1]}***@{domain}" if at and local and domain else "***"
