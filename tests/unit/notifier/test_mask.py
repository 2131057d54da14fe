"""Masked addresses."""

import pytest

from notifier.domain.mask import mask_email, mask_phone


@pytest.mark.parametrize(
    ("phone", "masked"),
    [
        ("13800131234", "138****1234"),
        ("+8613800131234", "138****1234"),
        ("+86 138-0013-1234", "138****1234"),
        ("8613800131234", "138****1234"),
        ("008613800131234", "008****1234"),
        ("+5511912345678", "551****5678"),
        ("1234567890", "123****7890"),
        ("123456789", "****89"),
        ("12345", "****45"),
        ("1234", "****"),
        ("", "****"),
    ],
)
def test_phone(phone: str, masked: str) -> None:
    assert mask_phone(phone) == masked


@pytest.mark.parametrize(
    ("email", "masked"),
    [
        ("li.lei@example.com", "l***@example.com"),
        ("a@b", "a***@b"),
        ("李雷@例子.cn", "李***@例子.cn"),
        (" ann@example.com ", "a***@example.com"),
        ("odd@name@example.com", "o***@example.com"),
        ("nobody", "***"),
        ("@example.com", "***"),
        ("ann@", "***"),
        ("", "***"),
    ],
)
def test_email(email: str, masked: str) -> None:
    assert mask_email(email) == masked
