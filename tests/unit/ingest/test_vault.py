"""Sealing, without a database: letters, look-up, and keys that are none."""

import pytest
from cryptography.exceptions import InvalidTag

from ingest.vault import Vault

VAULT = Vault(b"m" * 32, index_key=b"i" * 32)


def test_a_letter_opens_again_with_the_same_key_only() -> None:
    sealed = VAULT.seal_letter(b'{"personal": {"phone": "13800138000"}}')
    assert b"13800138000" not in sealed
    assert VAULT.open_letter(sealed) == b'{"personal": {"phone": "13800138000"}}'
    assert VAULT.open_letter(VAULT.seal_letter(b"")) == b""
    with pytest.raises(InvalidTag):
        Vault(b"o" * 32).open_letter(sealed)
    with pytest.raises(InvalidTag):
        VAULT.open_letter(sealed[:-1] + bytes([sealed[-1] ^ 1]))


@pytest.mark.parametrize("key", [b"", b"m" * 16, b"m" * 31, b"m" * 33])
def test_a_master_key_has_32_bytes(key: bytes) -> None:
    with pytest.raises(ValueError, match=f"has {len(key)} bytes, it needs 32"):
        Vault(key)


def test_the_index_tells_equal_from_different_and_nothing_else() -> None:
    phone = VAULT.blind_index("shop", "phone", "+8613800138000")
    assert VAULT.blind_index("shop", "phone", " +8613800138000 ") == phone
    assert VAULT.blind_index("shop", "email", "Ann@Example.com") == VAULT.blind_index(
        "shop", "email", "ann@example.com"
    )
    different = [
        VAULT.blind_index("other", "phone", "+8613800138000"),
        VAULT.blind_index("shop", "email", "+8613800138000"),
        VAULT.blind_index("shop", "phone", "+8613800138001"),
        Vault(b"m" * 32, index_key=b"o" * 32).blind_index("shop", "phone", "+8613800138000"),
    ]
    assert len({phone, *different}) == 5
    assert {len(index) for index in different} == {32}
