"""The grid's segments: ids and names."""

from segmentation.domain.rules.grid import CELLS, segment_id


def test_every_cell_is_a_segment() -> None:
    assert [*CELLS] == [
        "prospect",
        "new-active",
        "new-stimulate",
        "new-winback",
        "new-lost",
        "repeat-active",
        "repeat-stimulate",
        "repeat-winback",
        "repeat-lost",
        "loyal-active",
        "loyal-stimulate",
        "loyal-winback",
        "loyal-lost",
        "fan-active",
        "fan-stimulate",
        "fan-winback",
        "fan-lost",
    ]
    assert len(CELLS) == 17


def test_ids() -> None:
    assert segment_id("prospect", None) == "prospect"
    assert segment_id("loyal", "lost") == "loyal-lost"


def test_names_speak_the_shops_language_or_english() -> None:
    assert CELLS["prospect"].name("zh-CN") == "潜在客户"
    assert CELLS["new-winback"].name("zh-CN") == "新客户 · 待挽回"
    assert CELLS["new-winback"].name("en") == "New · to win back"
    assert CELLS["new-winback"].name("pt-BR") == "New · to win back"
