"""How facts are spread: values one by one, elements of lists each on its own, percentiles of many numbers."""

from typing import Any

from segmentation.models.distributions import MOST_VALUES, SpreadOut, spread


def test_values_are_counted_those_most_frequent_first() -> None:
    people: list[dict[str, Any]] = [
        {"grade": "low"},
        {"grade": "high", "other": 1},
        {"grade": "low"},
        {"grade": None},
        {},
    ]
    found = spread(people, ["grade", "stage"])
    assert found == {"grade": SpreadOut(known=3, values={"low": 2, "high": 1}), "stage": SpreadOut(known=0, values={})}
    assert list(found["grade"].values or {}) == ["low", "high"]


def test_elements_of_lists_count_each() -> None:
    found = spread([{"liked": ["tea", "soap"]}, {"liked": ("tea",)}, {"liked": []}], ["liked"])
    assert found["liked"] == SpreadOut(known=3, values={"tea": 2, "soap": 1})


def test_numbers_with_many_values_are_told_by_where_they_lie() -> None:
    found = spread(({"score": number} for number in range(101)), ["score"])["score"]
    assert found.values is None
    assert found.percentiles == {"p0": 0, "p10": 10, "p25": 25, "p50": 50, "p75": 75, "p90": 90, "p100": 100}
    few = spread(({"score": number} for number in range(MOST_VALUES)), ["score"])["score"]
    assert few.percentiles is None


def test_of_many_texts_the_most_frequent_are_told() -> None:
    people = [{"city": f"c{number:03}"} for number in range(200)] + [{"city": "c199"}]
    values = spread(people, ["city"])["city"].values or {}
    assert (len(values), next(iter(values.items()))) == (MOST_VALUES, ("c199", 2))
