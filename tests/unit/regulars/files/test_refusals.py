"""The report of refused rows: there only if there are any, and what the system refused stays in it."""

import json
from pathlib import Path

from common.contracts.envelope import Rejection
from regulars.files.refusals import Report

FILES = [Path("a.csv"), Path("b.csv")]
FAULT = Rejection("$.data.amount.currency", "expected CNY")


def lines(path: Path) -> list[tuple[str, int, int, str]]:
    told = map(json.loads, path.read_text().splitlines())
    return [(line["file"], line["line"], line["rows"], line["by"]) for line in told]


def test_without_refusals_there_is_no_report(tmp_path: Path) -> None:
    path = tmp_path / "imports" / "refused.ndjson"
    with Report(path, FILES, resumed=False) as report:
        assert report.rows == 0
    assert not path.exists()


def test_an_import_that_goes_on_tells_again_what_is_wrong_and_keeps_what_the_system_said(tmp_path: Path) -> None:
    path = tmp_path / "imports" / "refused.ndjson"
    with Report(path, FILES, resumed=False) as report:
        report.refuse((1, 7), FAULT, rows=2)
        report.refuse((0, 3), FAULT, by="system")
        assert lines(path) == [("b.csv", 7, 2, "mapping"), ("a.csv", 3, 1, "system")], "on the disk at once"
    for _ in range(2):
        with Report(path, FILES, resumed=True) as report:
            report.refuse((1, 7), FAULT, rows=2)
            report.refuse((0, 3), FAULT, by="system")  # sent again, since the kill came before the cursor was written
            assert report.rows == 3
            assert report.reasons == {"$.data.amount.currency: expected CNY": 3}
        assert lines(path) == [("a.csv", 3, 1, "system"), ("b.csv", 7, 2, "mapping")]
    with Report(path, FILES, resumed=False):
        pass
    assert not path.exists()
