"""Sorted is sorted, in memory or not; and nothing is left behind."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regulars.files import sorting
from regulars.files.sorting import Sorter, together

ENTRIES = st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=5)), max_size=60)


@given(ENTRIES, st.sampled_from([1, 1_000, 10**9]))
def test_any_number_of_runs_comes_to_the_same(entries: list[tuple[int, bytes]], memory_bytes: int) -> None:
    with Sorter(memory_bytes) as sorter:
        for number, (key, content) in enumerate(entries):
            sorter.add((key, 0, number), content)
        wanted = sorted(((key, 0, number), content) for number, (key, content) in enumerate(entries))
        assert [(tuple(key), content) for key, content in sorter] == wanted
        assert [(tuple(key), content) for key, content in sorter] == wanted
        assert sorter.count == len(entries)
        groups = [(len(group), besides) for group, besides in together(sorter, most=2)]
        sizes = [sum(1 for key, _ in entries if key == each) for each in sorted({key for key, _ in entries})]
        assert groups == [(min(2, size), max(0, size - 2)) for size in sizes]


def test_too_many_runs_are_merged_into_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorting, "RUNS_MAX", 3)
    with Sorter(memory_bytes=1) as sorter:
        for number in reversed(range(50)):
            sorter.add((number, 0, 0), b"x")
            assert len(sorter._runs) < 3
        assert [key[0] for key, _ in sorter] == list(range(50))


def test_its_files_have_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that contact data of customers does not outlive a process that is killed."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Sorter(memory_bytes=1) as sorter:
        sorter.add((1, 0, 0), b"+8613800138000")
        assert len(sorter._runs) == 1
        assert list(tmp_path.iterdir()) == []
