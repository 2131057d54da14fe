"""That the benchmark of segments that nothing touches runs, and gives as many as it is asked for."""

import pytest

from regulars.bench import untouched
from regulars.bench.as_received import SHOP
from regulars.bench.stage import stage


def test_half_of_the_segments_hold_everybody() -> None:
    (book,) = [book for shop, book in untouched.books(10).items() if shop == SHOP]
    assert len(book.by_id) == 10
    assert book.models


async def test_a_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(untouched, "SEGMENTS", (2, 4))
    monkeypatch.setattr(untouched, "ROUNDS", 1)
    async with stage(quick=True) as ours:
        measured = {figure.name: figure for figure in await untouched.measure(ours)}
    assert list(measured) == [f"untouched.{count}.{kind}" for count in (2, 4) for kind in ("wall", "cpu")]
    assert all(figure.value > 0 for figure in measured.values())
    assert measured["untouched.4.cpu"].ceiling == measured["untouched.2.cpu"].value
