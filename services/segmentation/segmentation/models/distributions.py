"""How the facts of models are spread over customers: how many have each value, or where numbers lie."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, Field

MOST_VALUES = 25  # told one by one, those most frequent first; of numbers with more of them, where they lie
PERCENTS = (0, 10, 25, 50, 75, 90, 100)


class SpreadOut(BaseModel):
    """Of one fact. `known`: customers of the sample who have it. Either `values`, with their customers (of a fact that
    is a list, each element on its own), or `percentiles`: the number that so many of 100 do not exceed."""

    known: int = Field(examples=[950])
    values: dict[str, int] | None = Field(default=None, examples=[{"champions": 80, "lost": 300}])
    percentiles: dict[str, int] | None = Field(default=None, examples=[None])


def spread(people: Iterable[Mapping[str, Any]], fields: Iterable[str]) -> dict[str, SpreadOut]:
    """Of each field, over what is known of these people."""
    found: dict[str, list[Any]] = {field: [] for field in fields}
    for facts in people:
        for field, value in facts.items():
            if field in found and value is not None:
                found[field].append(value)
    return {field: _spread(values) for field, values in found.items()}


def _spread(values: list[Any]) -> SpreadOut:
    each = [one for value in values for one in (value if isinstance(value, list | tuple) else (value,))]
    counted = Counter(each)
    if len(counted) > MOST_VALUES and all(type(one) is int for one in counted):
        ranked = sorted(each)
        places = {f"p{percent}": ranked[(len(ranked) - 1) * percent // 100] for percent in PERCENTS}
        return SpreadOut(known=len(values), percentiles=places)
    by_frequency = sorted(counted.items(), key=lambda one: (-one[1], str(one[0])))[:MOST_VALUES]
    return SpreadOut(known=len(values), values={str(value): count for value, count in by_frequency})
