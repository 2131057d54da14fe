"""`regulars import` of files with a mapping: killed and resumed it ends where the simulation ends; live sales count
once; refused rows are named and cost nothing else."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from regulars.files.as_events import events_of
from tests.e2e.commands import run, running, up
from tests.e2e.stored import simulated, stored_at_rest, stored_under, written
from tests.e2e.test_import import ALL_WITHIN_S, in_the_middle, taken

UNTIL = "2026-06-01T00:00:00+08:00"
CUSTOMERS, ORDERS = 600, 3_000
SOME_LINES = 2_500  # of about 10,000

ORDERS_YAML = """
format: csv
currency: BRL
zone: America/Sao_Paulo
columns:
  at: {column: day, type: time, format: "%d/%m/%Y %H:%M"}
  pieces: integer
  line: {column: price, type: money, times: pieces}
group: [nr]
time: at
person: {subject: "{who}", personal: {phone: "{phone}"}}
events:
  - {type: order.placed, id: "{nr}:1", data: &order {order_id: "{nr}", amount: {sum: line}}}
  - {type: order.paid, id: "{nr}:2", where: &paid {field: state, op: ne, value: open}, data: *order}
  - {type: order.completed, id: "{nr}:3", where: *paid, data: *order}
  - {type: order.cancelled, id: "{nr}:4", where: {field: state, op: eq, value: cancelled}, data: {order_id: "{nr}"}}
"""
TILL_YAML = """
format: csv
source: store-1
currency: CNY
zone: Asia/Shanghai
columns: {at: time, total: money}
time: at
person: {subject: "{card}", personal: {phone: "{phone}"}}
events:
  - {type: order.paid, id: "{nr}:paid", data: &order {order_id: "store-1:{nr}", amount: "{total}"}}
  - {type: order.completed, id: "{nr}:completed", data: *order}
"""


def orders(seed: int) -> str:
    """Some years of a shop that never was, its lines in no order."""
    chance = random.Random(seed)
    lines = []
    for nr in range(ORDERS):
        day = datetime(2023, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(3 * 365 * 24 * 60))
        who, state = chance.randrange(CUSTOMERS), chance.choice(["done", "done", "done", "open", "cancelled"])
        for _ in range(chance.randint(1, 3)):
            price = f"{chance.randrange(100)}.{chance.randrange(100):02}"
            lines.append(f"o{nr},{day:%d/%m/%Y %H:%M},c{who},+55119{who:08},{state},{chance.randint(1, 4)},{price}\n")
    chance.shuffle(lines)
    return "nr,day,who,phone,state,pieces,price\n" + "".join(lines)


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "orders.csv").write_text(orders(seed=5))
    (folder / "orders.yaml").write_text(ORDERS_YAML)
    return folder


def test_killed_twice_and_gone_on_it_is_what_the_simulation_says(history: Path, tmp_path: Path) -> None:
    file, mapping = history / "orders.csv", str(history / "orders.yaml")
    arguments = ("import", str(file), "--mapping", mapping, "--shop", "olist", "--until", UNTIL)
    reached = 0
    for _ in range(2):
        with running(tmp_path, *arguments) as command:
            command.until_said(rf"to send; {reached:,} of them were taken before", ALL_WITHIN_S)
            in_the_middle(command, tmp_path, reached + SOME_LINES)
            command.kill()
        reached = taken(tmp_path)
    status, said = run(tmp_path, *arguments)
    assert status == 0, said
    assert "Everything is decided" in said

    then = datetime.fromisoformat(UNTIL)
    events, _ = events_of([file], mapping, "olist", then, Console(quiet=True))
    wanted = simulated(events, then, tmp_path)
    assert len(wanted) > CUSTOMERS * 0.9
    assert {row["lifecycle"] for row in wanted.values()} >= {"new", "repeat", "loyal"}
    assert stored_at_rest(tmp_path / ".regulars", tmp_path) == wanted

    rows = tmp_path / "rows.csv"
    lived = ("simulate", str(file), "--mapping", mapping, "--shop", "olist", "--at", UNTIL, "--customers", str(rows))
    status, said = run(tmp_path, *lived)
    assert status == 0, said
    assert written(rows, wanted) == wanted
    assert run(tmp_path, *arguments)[1].count("0 accepted, 0 duplicate, 0 rejected") == 1, "all of it was taken"


def test_live_sales_count_once_and_bad_rows_are_named(tmp_path: Path) -> None:
    now = datetime.now(UTC) - timedelta(hours=6)
    rows = [f"{nr},{now.isoformat()},c{nr % 3},+861380013800{nr % 3},100.00\n" for nr in range(30)]
    good = "nr,at,card,phone,total\n" + "".join(rows)
    bad = good + f"98,{now.isoformat()},c1,+8613800138001,a hundred\n99,yesterday,c1,+8613800138001,100.00\n"
    (tmp_path / "till.csv").write_text(bad)
    (tmp_path / "till.yaml").write_text(TILL_YAML)
    arguments = ("import", "till.csv", "--mapping", "till.yaml", "--live")
    with up(tmp_path) as here:
        for counts in ("60 accepted, 0 duplicate, 0 rejected", "0 accepted, 0 duplicate, 0 rejected"):
            status, said = run(tmp_path, *arguments)
            assert (status, counts in said) == (3, True), said
            assert "2 rows refused" in said
        (tmp_path / "till.csv").write_text(bad.replace("a hundred", "100.00"))  # mended: another file, known ids
        status, said = run(tmp_path, *arguments)
        assert (status, "2 accepted, 60 duplicate, 0 rejected" in said) == (3, True), said
        reports = sorted((tmp_path / ".regulars/imports").glob("till-demo-live-*.refused.ndjson"))
        refusals = [json.loads(line) for report in reports for line in report.read_text().splitlines()]
        assert {(r["file"], r["line"], r["path"]) for r in refusals} == {
            ("till.csv", 32, "$.columns.total"),
            ("till.csv", 33, "$.columns.at"),
        }
        assert not any(word in report.read_text() for report in reports for word in ("hundred", "yesterday", "+86"))
        accounts = {c: here.client.get(f"/v1/accounts/{c}").json()["points"] for c in ("c0", "c1", "c2")}
        assert accounts == {"c0": 1_000, "c1": 1_000 + 100, "c2": 1_000}
        assert here.client.get("/v1/mailbox").json()["items"] == [], "nobody is told to pay what is paid"
        told = json.loads((tmp_path / ".regulars" / "running.json").read_text())
        assert stored_under(told["admin_database"], tmp_path) == {}, "the other shop has nobody"


def test_what_the_system_refuses_is_named_too(tmp_path: Path) -> None:
    """A system elsewhere may know better: here, in which currency its shop is."""
    (tmp_path / "till.csv").write_text(f"nr,at,card,phone,total\n1,{datetime.now(UTC).isoformat()},c1,,1\n")
    (tmp_path / "till.yaml").write_text(TILL_YAML.replace("CNY", "EUR"))
    with up(tmp_path) as here:
        status, said = run(tmp_path, "import", "till.csv", "--mapping", "till.yaml", "--live")
        assert (status, "$.currency: is EUR, but shop demo is in CNY" in said) == (1, True), said
        to = ("--url", here.url, "--key", here.key)
        status, said = run(tmp_path, "import", "till.csv", "--mapping", "till.yaml", "--live", *to)
        assert (status, "refuses everything" in said) == (1, True), said
        (report,) = (tmp_path / ".regulars/imports").glob("*.refused.ndjson")
        assert {(json.loads(line)["line"], json.loads(line)["by"]) for line in report.read_text().splitlines()} == {
            (2, "system")
        }


def test_a_check_sends_nothing_and_shows_no_contact_data(history: Path, tmp_path: Path) -> None:
    file, mapping = str(history / "orders.csv"), str(history / "orders.yaml")
    status, said = run(tmp_path, "import", file, "--mapping", mapping, "--shop", "olist", "--check")
    assert status == 0, said
    assert f"order.placed: {ORDERS:,}" in said
    assert "+55" not in said
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".txt"] == []
