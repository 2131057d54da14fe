"""Public data sets by name: simulated and imported as a person does it, their figures and their published results."""

import csv
import json
import os
import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.data_sets import file_of, folder_of
from tests.e2e.commands import run

SIMULATION_TIMEOUT_S = 350.0  # on a busy machine
READ_TIMEOUT_S = 150.0
DAY = timedelta(days=1)
# Their files take minutes; tests/segmentation/recomputed/purchases has them, sampled, in every run.
WHOLE = pytest.mark.skipif(not os.environ.get("REGULARS_WHOLE_FILES"), reason="of large files: `make nightly`")

SAMPLE = """\
 00004 0001 19970101  2   29.33
 00004 0001 19970101  1   10.00
 00004 0001 19970118  2   29.73
 00018 0021 19970104  1    0.00
 00021 0111 19970101  1   12.00
 00021 0111 19970301  1   12.00
 00050 0312 19970206  1    7.00
 00060 0411 19970224  4   70.00
"""
MASTER = " customer_id  date number_of_cds  dollar_value\n 00001 19970101  1   11.77\n"
OFTEN = "in: {count: purchase, over: 90d, op: gte, value: 2}\n"
BEST = "segment: best\nin: {all: [{segment: often}, {field: rfm.m, op: eq, value: 5}]}\n"


def simulated(folder: Path, *arguments: str) -> dict[str, dict[str, str]]:
    """The file of customers of a simulation, by the customer's own number."""
    files = ("--customers", "customers.csv", "--json", "counts.json")
    status, said = run(folder, "simulate", *arguments, *files, within_s=SIMULATION_TIMEOUT_S)
    assert status == 0, said
    with (folder / "customers.csv").open(newline="") as file:
        return {row["id"].rpartition(":")[2]: row for row in csv.DictReader(file)}


def cdnow(folder: Path) -> Path:
    made = folder / "files" / "cdnow"
    made.mkdir(parents=True)
    (made / "CDNOW_sample.txt").write_text(SAMPLE)
    (made / "CDNOW_master.txt").write_text(MASTER)
    return folder / "files"  # as it is unpacked: with a folder of its name


def test_a_sample_and_the_whole(tmp_path: Path) -> None:
    files = str(cdnow(tmp_path))
    assert set(simulated(tmp_path, "cdnow", files)) == {"0001", "0021", "0111", "0312", "0411"}
    assert set(simulated(tmp_path, "cdnow", files, "--file", "master")) == {"00001"}
    status, said = run(tmp_path, "simulate", "cdnow", files, "--file", "half")
    assert (status, "cdnow has no file 'half'; there is sample, master" in " ".join(said.split())) == (2, True)
    status, said = run(tmp_path, "simulate", "online_retail", files)
    assert (status, "holds no online_retail.csv" in " ".join(said.split())) == (2, True)


def test_scores_days_segments_and_rules_of_files(tmp_path: Path) -> None:
    """Five customers, so that each fifth is one of them."""
    files = cdnow(tmp_path)
    (tmp_path / "often.yaml").write_text(OFTEN)
    (tmp_path / "best.yaml").write_text(BEST)
    at = ("--at", "1997-03-01T00:00:00+00:00")
    rules = ("--segment", "best.yaml", "--segment", "often.yaml")
    rows = simulated(tmp_path, "cdnow", str(files), *at, *rules)
    scores = {who: (row["rfm_r"], row["rfm_f"], row["rfm_m"], row["rfm_group"]) for who, row in rows.items()}
    # Days since the last: 42, 56, 0, 23, 5. Orders: 2, 1, 2, 1, 1, then by id. Money: 69.06, 0, 24, 7, 70.
    assert scores == {
        "0001": ("2", "4", "4", "at_risk"),
        "0021": ("1", "1", "1", "hibernating"),
        "0111": ("5", "5", "3", "champions"),
        "0312": ("3", "2", "2", "about_to_sleep"),
        "0411": ("4", "3", "5", "potential_loyalists"),
    }
    names = ("orders_distinct_days", "first_purchase_day", "last_purchase_day")
    days = {who: tuple(row[name] for name in names) for who, row in rows.items()}
    assert days["0001"] == ("2", "1997-01-01", "1997-01-18")
    assert days["0021"] == ("1", "1997-01-04", "1997-01-04")
    assert all(row["segments"].split(";")[0] == f"{row['lifecycle']}-{row['activity']}" for row in rows.values())
    assert not any({"best", "often"} & set(row["segments"].split(";")) for row in rows.values())
    often = {who: (row["often"], row["often_until"]) for who, row in rows.items()}
    assert often == {
        "0001": ("in", "1997-04-01T00:00:00Z"),  # 90 days after the first of two
        "0021": ("out", ""),
        "0111": ("in", "1997-04-01T00:00:00Z"),
        "0312": ("out", ""),
        "0411": ("out", ""),
    }
    assert {who: row["best"] for who, row in rows.items() if row["best"] == "in"} == {}
    assert json.loads((tmp_path / "counts.json").read_text())["customers"] == 5


def test_rules_that_cannot_be_used_are_told_with_their_paths(tmp_path: Path) -> None:
    files = str(cdnow(tmp_path))
    (tmp_path / "a.yaml").write_text("in: {count: purchases, op: gte, value: 2}\n")
    (tmp_path / "b.yaml").write_text("segment: points\nin: {bucket: {salt: x, from: 0, to: 10}}\n")
    (tmp_path / "c.yaml").write_text("[]\n")
    for name, path in (("a", "a.yaml: $.in.count"), ("b", "b.yaml: $.segment"), ("c", "c.yaml: $")):
        status, said = run(tmp_path, "simulate", "cdnow", files, "--customers", "x.csv", "--segment", f"{name}.yaml")
        assert status == 1, said
        assert path in " ".join(said.split())
    status, said = run(tmp_path, "simulate", "cdnow", files, "--segment", "a.yaml")
    assert (status, "--customers" in said) == (2, True)


def test_an_import_by_name_is_one_of_its_file(tmp_path: Path) -> None:
    status, said = run(tmp_path, "import", "cdnow", str(cdnow(tmp_path)), "--check")
    assert status == 0, said
    assert "order.paid: 7, 17,006 USD in minor units" in said
    status, said = run(tmp_path, "import", "cdnow", str(tmp_path / "files"), "--shop", "demo")
    assert (status, "but shop demo is in CNY" in " ".join(said.split())) == (1, True)


@pytest.mark.timeout(400)
def test_cdnow(tmp_path: Path) -> None:
    """The whole, as it is read; and of the sample the published summary of 39 weeks, for every customer."""
    files = folder_of("cdnow")
    assert read(tmp_path, "cdnow", files, "--file", "master") == {
        "rows": (69_659, 0, 23_570),
        "order.placed": (67_591, 250_031_563),
        "order.paid": (67_591, 250_031_563),
        "order.completed": (67_591, 250_031_563),
    }
    end = datetime(1997, 9, 30, tzinfo=UTC)
    rows = simulated(tmp_path, "cdnow", str(files), "--at", "1997-09-30T00:00:00+00:00")
    with file_of("cdnow", "cdnow_customers_summary.csv").open(newline="") as file:
        published = {row["ID"].zfill(4): row for row in csv.DictReader(file)}
    assert rows.keys() == published.keys()
    assert len(rows) == 2_357
    for who, row in rows.items():
        days = (row["first_purchase_day"], row["last_purchase_day"])
        first, last = (datetime.fromisoformat(day).replace(tzinfo=UTC) for day in days)
        assert int(row["orders_distinct_days"]) - 1 == int(published[who]["frequency"])
        assert (last - first) / DAY / 7 == pytest.approx(float(published[who]["recency"]), abs=0.01)
        assert (end - first) / DAY / 7 == pytest.approx(float(published[who]["T"]), abs=0.01)


@WHOLE
@pytest.mark.timeout(400)
def test_the_ten_published_groups_of_online_retail(tmp_path: Path) -> None:
    files = folder_of("online_retail")
    rows = simulated(tmp_path, "online_retail", str(files), "--at", "2011-12-11T00:00:00+00:00")
    assert len(rows) == 4_339
    groups: defaultdict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows.values():
        groups[row["rfm_group"]].append(row)
    table = file_of("reference", "online_retail_rfm_segments_published.csv")
    with table.open(newline="") as file:
        published = list(csv.DictReader(file))
    wrong = []
    end = datetime(2011, 12, 11, tzinfo=UTC)
    for row in published:
        of = groups.pop({"at_Risk": "at_risk", "cant_loose": "cant_lose"}.get(row["segment"], row["segment"]))
        cells = {
            "count": Decimal(len(of)),
            "recency_mean": _mean([(end - datetime.fromisoformat(who["last_purchase"])) // DAY for who in of]),
            "frequency_mean": _mean([int(who["purchases"]) for who in of]),
            "monetary_mean": _mean([int(who["monetary_minor"]) for who in of]) / 100,
        }
        rounded = {name: round(value, 3) for name, value in cells.items()}
        wrong += [(row["segment"], name, value) for name, value in rounded.items() if value != Decimal(row[name])]
    assert groups == {}
    # The published table was made of a sheet with one row more.
    assert wrong == [("champions", "monetary_mean", Decimal("6857.935"))]


def _mean(values: list[int]) -> Decimal:
    return Decimal(sum(values)) / len(values)


@WHOLE
def test_ga_merch_store(tmp_path: Path) -> None:
    of_orders = (2_887, 408_100_68)
    assert read(tmp_path, "ga_merch_store", folder_of("ga_merch_store")) == {
        "rows": (420_741, 231_651, 29_730),
        "visit": (128_769, 0),
        "cart.item_added": (36_078, 0),
        "cart.item_removed": (4_645, 0),
        **{f"order.{name}": of_orders for name in ("placed", "paid", "completed")},
    }


def test_taobao_userbehavior(tmp_path: Path) -> None:
    """Of 89,710 views, 2,744 favourites, 5,446 carts and 2,101 purchases, 44 views lie outside the window."""
    assert read(tmp_path, "taobao_userbehavior", folder_of("taobao_userbehavior")) == {
        "rows": (100_001, 44, 983),
        "visit": (92_410, 0),
        "cart.item_added": (5_446, 0),
        **{f"order.{name}": (2_101, 0) for name in ("placed", "paid", "completed")},
    }


def read(work: Path, name: str, files: Path, *arguments: str) -> dict[str, tuple[int, ...]]:
    """What `import --check` finds: rows, those left out and customers; of each type its events and their money."""
    status, said = run(work, "import", name, str(files), "--check", *arguments, within_s=READ_TIMEOUT_S)
    assert status == 0, said
    plain = said.replace(",", "")
    rows = re.search(r"(\d+) rows: (\d+) left out by `keep` 0 told nothing; (\d+) customers", plain)
    assert rows is not None, said
    found = {"rows": tuple(map(int, rows.groups()))}
    for kind, count, money in re.findall(
        r"^  ([a-z_.]+): (\d+)(?: (\d+) [A-Z]{3} in minor units)?$", plain, re.MULTILINE
    ):
        found[kind] = (int(count), int(money or 0))
    return found
