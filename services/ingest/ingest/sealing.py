"""Sealing: AES-256-GCM under a master key that has a name, so that there can be another one tomorrow.

What a master key sealed begins with a mark and the key's name. What has no mark was sealed before keys had names, by
the first of them.
"""

import hmac
import os
from collections.abc import Sequence
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12  # of AES-GCM (NIST SP 800-38D)
KEY_BYTES = 32
MARK = b"\x00rk1"  # what was sealed before begins with a random nonce: four bytes and the name tell them apart
NAME_BYTES = 8


def name_of(master_key: bytes) -> bytes:
    """The key's name: tells two keys apart, and nothing of either."""
    return hmac.digest(master_key, b"name of a master key", sha256)[:NAME_BYTES]


class Masters:
    """The master key that seals, and those before it, which only open."""

    def __init__(self, present: bytes, old: Sequence[bytes] = ()) -> None:
        for key in (present, *old):
            if len(key) != KEY_BYTES:
                raise ValueError(f"the vault's master key has {len(key)} bytes, it needs {KEY_BYTES}")
        self.keys = {name_of(key): key for key in (present, *old)}  # the present one, then as they are given
        self._ciphers = {name: AESGCM(key) for name, key in self.keys.items()}
        self._present = name_of(present)
        self.mark = MARK + self._present  # what everything begins with that needs no other key

    @property
    def name(self) -> str:
        """The present key's name."""
        return self._present.hex()

    def knows(self, mark: bytes) -> bool:
        """Whether the key of this mark is here."""
        return mark.startswith(MARK) and mark[len(MARK) :] in self.keys

    def seal(self, plain: bytes, place: bytes) -> bytes:
        """Sealed for this place, by the present key."""
        return self.mark + seal(self._ciphers[self._present], plain, place)

    def open(self, sealed: bytes, place: bytes) -> bytes:
        """Opened by the key that sealed it. Raises InvalidTag where none of ours did, or for another place."""
        return self._opened(sealed, place)[1]

    def opener(self, sealed: bytes, place: bytes) -> bytes:
        """The master key itself that opens it. Raises InvalidTag."""
        return self.keys[self._opened(sealed, place)[0]]

    def _opened(self, sealed: bytes, place: bytes) -> tuple[bytes, bytes]:
        begin = len(MARK) + NAME_BYTES
        if self.knows(sealed[:begin]):
            name = sealed[len(MARK) : begin]
            return name, open_(self._ciphers[name], sealed[begin:], place)
        for name, cipher in self._ciphers.items():
            try:
                return name, open_(cipher, sealed, place)
            except InvalidTag:
                continue  # it may be the next one's
        raise InvalidTag


def place_of(key: tuple[str, str], field: str) -> bytes:
    """Where a value belongs; it opens nowhere else."""
    return "\x1f".join((*key, field)).encode()


def seal(cipher: AESGCM, plain: bytes, place: bytes) -> bytes:
    """A nonce, and the text sealed with it."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, plain, place)


def open_(cipher: AESGCM, sealed: bytes, place: bytes) -> bytes:
    """The text again. Raises InvalidTag."""
    if len(sealed) < NONCE_BYTES:
        raise InvalidTag
    return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], place)
