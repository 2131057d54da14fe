"""The segments every shop has: one for each cell of lifecycle x activity. A customer is in exactly one of them."""

from itertools import product

from msgspec import Struct

from common.contracts.segmentation import Activity, Lifecycle

_LIFECYCLES: tuple[Lifecycle, ...] = ("new", "repeat", "loyal", "fan")
_ACTIVITIES: tuple[Activity, ...] = ("active", "stimulate", "winback", "lost")
DEFAULT_LOCALE = "en"
_NAMES: dict[str, dict[Lifecycle | Activity, str]] = {
    "en": {
        "prospect": "Prospects",
        "new": "New",
        "repeat": "Repeat",
        "loyal": "Loyal",
        "fan": "Fans",
        "active": "active",
        "stimulate": "to stimulate",
        "winback": "to win back",
        "lost": "lost",
    },
    "zh-CN": {
        "prospect": "潜在客户",
        "new": "新客户",
        "repeat": "回头客",
        "loyal": "忠诚客户",
        "fan": "粉丝",
        "active": "活跃",
        "stimulate": "待激活",
        "winback": "待挽回",
        "lost": "流失",
    },
}


class Cell(Struct, frozen=True):
    """A cell of the grid."""

    segment: str
    lifecycle: Lifecycle
    activity: Activity | None

    def name(self, locale: str) -> str:
        """For people, in the shop's language; English for a language we do not speak."""
        words = _NAMES.get(locale, _NAMES[DEFAULT_LOCALE])
        if self.activity is None:
            return words[self.lifecycle]
        return f"{words[self.lifecycle]} · {words[self.activity]}"


def segment_id(lifecycle: Lifecycle, activity: Activity | None) -> str:
    """`prospect`, `new-active` ... `fan-lost`."""
    return lifecycle if activity is None else f"{lifecycle}-{activity}"


_CELLS: tuple[Cell, ...] = (
    Cell(segment_id("prospect", None), "prospect", None),
    *(Cell(segment_id(*cell), *cell) for cell in product(_LIFECYCLES, _ACTIVITIES)),
)
CELLS: dict[str, Cell] = {one.segment: one for one in _CELLS}
