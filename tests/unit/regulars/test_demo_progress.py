"""How far a demo came, and the time it goes on at: never before anything that was written down already."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from common.clock import parse_clock
from regulars.demo.run import Progress, _clock
from regulars.demo.shop import DAY, DAYS
from regulars.embedded_postgres import FolderInUse
from regulars.home import Home

HOUR = timedelta(hours=1)


def reads(progress: Progress, latest: datetime | None) -> datetime:
    return parse_clock(_clock(progress, latest)).now()


def test_the_shop_opens_so_that_its_last_day_is_today(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "demo", seed=1)
    assert progress.sent == 0
    assert progress.opened.date() == datetime.now(UTC).date() - timedelta(days=DAYS - 1)
    assert progress.opened <= reads(progress, None) < progress.opened + DAYS * DAY


def test_begun_again_it_goes_on_where_it_was(tmp_path: Path) -> None:
    first = Progress(tmp_path / "demo", seed=1)
    first.save(17, first.opened + 3 * DAY)
    again = Progress(tmp_path / "demo", seed=1)
    assert (again.opened, again.sent, again.reached) == (first.opened, 17, first.opened + 3 * DAY)
    assert reads(again, None) >= again.reached


def test_its_time_begins_after_all_that_was_written(tmp_path: Path) -> None:
    """Ticks went on while it stopped: a watermark that was given must hold."""
    progress = Progress(tmp_path / "demo", seed=1)
    progress.save(17, progress.opened + 3 * DAY)
    assert reads(progress, progress.opened + 4 * DAY) >= progress.opened + 4 * DAY
    assert reads(progress, progress.opened + 2 * DAY) >= progress.opened + 3 * DAY


def test_after_its_last_day_time_goes_on_at_its_own_pace(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "demo", seed=1)
    progress.save(17, progress.opened + DAYS * DAY + HOUR)
    latest = progress.opened + DAYS * DAY + 2 * HOUR
    assert latest <= reads(progress, latest) < latest + HOUR


@pytest.mark.parametrize(("seed", "over"), [(2, False), (1, True)])
def test_another_seed_and_a_demo_that_is_over_begin_anew(tmp_path: Path, seed: int, over: bool) -> None:
    first = Progress(tmp_path / "demo", seed=1)
    first.save(17, first.opened + DAY, over)
    (tmp_path / "demo" / "postgres").mkdir()
    again = Progress(tmp_path / "demo", seed)
    assert (again.sent, again.reached) == (0, again.opened)
    assert not (tmp_path / "demo" / "postgres").exists()


def test_it_is_not_cleared_away_while_it_is_up(tmp_path: Path) -> None:
    first = Progress(tmp_path / "demo", seed=1)
    first.save(17, first.opened + DAY, over=True)
    with Home(tmp_path / "demo").taken(), pytest.raises(FolderInUse, match="demo is in use"):
        Progress(tmp_path / "demo", seed=1)
    assert json.loads((tmp_path / "demo" / "demo.json").read_text())["sent"] == 17


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ValueError, match="is not empty and holds no demo"):
        Progress(tmp_path, seed=1)
    assert (tmp_path / "letter.txt").read_text() == "dear"
