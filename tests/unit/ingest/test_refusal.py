"""What decoding complained of, told without what was sent; whatever the decoder may come to say."""

import msgspec
import pytest

from common.contracts.envelope import Rejection
from ingest.domain.refusal import refusal

NONE_ALLOWED = "none of the values that are allowed here"


@pytest.mark.parametrize(
    ("said", "path", "reason"),
    [
        ("Expected `int`, got `str`", "$.data", "Expected `int`, got `str`"),
        (
            "Expected `int`, got `str` - at `$.items[3].quantity`",
            "$.data.items[3].quantity",
            "Expected `int`, got `str`",
        ),
        ("Object missing required field `order_id`", "$.data.order_id", "missing"),
        ("Object missing required field `item_id` - at `$.item`", "$.data.item.item_id", "missing"),
        ("Object contains unknown field `amuont` - at `$.item`", "$.data.item.amuont", "unknown field"),
        ("Object contains unknown field `138 0013 8000` - at `$.item`", "$.data.item", "unknown field"),
        ("Object contains unknown field `wang@example.com`", "$.data", "unknown field"),
        ("Object contains unknown field ``", "$.data", "unknown field"),
        ("Object contains unknown field `a` - at `$.b`", "$.data.b.a", "unknown field"),
        ("Object contains unknown field `a` - at `13800138000`", "$.data", "unknown field"),
        (
            "Invalid enum value 'wang' - at `$.topics[0]`",
            "$.data.topics[0]",
            NONE_ALLOWED,
        ),
        (
            "Invalid enum value 'x - at `wang`' - at `$.topics[0]`",
            "$.data.topics[0]",
            NONE_ALLOWED,
        ),
        ("Invalid value 'wang' - at `$.topics[0]`", "$.data.topics[0]", "invalid"),
        ("wang does not fit - at `$.wang of 3`", "$.data", "invalid"),
        ("wang\nlives\nhere", "$.data", "invalid"),
        ("", "$.data", "invalid"),
    ],
)
def test_a_complaint_is_told_without_what_was_sent(said: str, path: str, reason: str) -> None:
    assert refusal(msgspec.ValidationError(said), under="$.data") == Rejection(path, reason)
