"""What the command says when it can not do what it is asked: one message for whoever can mend it, and nothing begun."""

import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner

from ingest.connectors.known import CONNECTORS
from regulars.asking import Elsewhere, elsewhere_of
from regulars.bench.olist_folder import Order, path_of, write
from regulars.cli import app

TILL = """
format: csv
currency: CNY
columns: {at: time, total: money}
time: at
person: {subject: "{card}"}
events:
  - {type: order.paid, id: "{nr}:paid", data: {order_id: "{nr}", amount: "{total}"}}
"""


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    handlers, level = logging.root.handlers, logging.root.level
    yield
    logging.root.handlers, logging.root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to stand in, and no settings but a test's own."""
    monkeypatch.chdir(tmp_path)
    for name in ("REGULARS_DATABASE", "REGULARS_KAFKA", "REGULARS_SHOPS", "REGULARS_CLOCK", "REGULARS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def said(*arguments: str) -> tuple[int, str, str]:
    """Status, standard output, standard error."""
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.stdout, result.stderr


def nothing_begun(folder: Path) -> bool:
    return not (folder / ".regulars").exists()


@pytest.mark.parametrize("verb", ["import", "simulate"])
def test_a_folder_without_the_files(here: Path, verb: str) -> None:
    files = ", ".join(
        f"olist_{name}_dataset.csv" for name in ("orders", "customers", "order_payments", "order_reviews")
    )
    status, printed, noted = said(verb, "olist", "nowhere")
    assert (status, printed) == (1, "")
    assert noted.splitlines()[-1] == f"regulars: nowhere is not the Olist data set: {files} not found"
    assert nothing_begun(here)


@pytest.mark.parametrize("verb", ["import", "simulate"])
def test_half_a_file(here: Path, verb: str) -> None:
    path = path_of(write(here / "olist", Order("o1", "2017-06-01 12:00:00")), "orders")
    path.write_bytes(path.read_bytes()[:-5])
    status, printed, noted = said(verb, "olist", "olist")
    assert (status, printed) == (1, "")
    assert noted.splitlines()[-1] == "regulars: olist_orders_dataset.csv is cut off: its last line has no end"
    assert nothing_begun(here)


def test_a_history_in_which_nothing_happened(here: Path) -> None:
    write(here / "olist")
    assert said("import", "olist", "olist") == (1, "", "regulars: nothing happened in olist\n")
    write(here / "olist", Order("o1", "2017-06-01 12:00:00"))
    status, printed, noted = said("simulate", "olist", "olist", "--at", "2017-06-01T11:59:59-03:00")
    assert (status, printed) == (1, "")
    assert noted.splitlines()[-1] == "regulars: nothing happened in olist up to 2017-06-01T11:59:59-03:00"


def test_a_simulation_says_by_its_status_that_rows_were_refused(here: Path) -> None:
    """As an import does, and its files are there all the same."""
    good = "nr,at,card,total\n1,2026-05-01T12:00:00+08:00,c1,10.00\n"
    (here / "till.csv").write_text(good)
    (here / "till.yaml").write_text(TILL)
    arguments = ("simulate", "till.csv", "--mapping", "till.yaml", "--json", "counts.json", "--customers", "rows.csv")
    assert said(*arguments)[0] == 0
    (here / "till.csv").write_text(good + "2,yesterday,c2,10.00\n")
    (here / "counts.json").unlink()
    status, _, noted = said(*arguments)
    assert (status, "1 rows refused" in noted) == (3, True), noted
    assert (here / "counts.json").exists()
    assert (here / "rows.csv").read_text().count("\n") == 2


@pytest.mark.parametrize("arguments", [("list",), ("replay", "ingest"), ("replay", "loyalty", "1", "2")])
def test_dead_letters_of_no_installation(here: Path, arguments: tuple[str, ...]) -> None:
    fault = "no installation in .regulars: `regulars up` makes one, --data names another folder"
    assert said("dead-letters", *arguments) == (1, "", f"regulars: {fault}\n")
    assert nothing_begun(here)


@pytest.mark.parametrize(
    "arguments",
    [
        ("segments", "list"),
        ("customers", "show", "c1"),
        ("privacy", "list"),
        ("privacy", "erase", "c1"),
        ("reprocess", "--since", "2026-05-01", "--source", "src_1"),
        ("dead-letters", "replay", "ingest"),
    ],
)
def test_what_asks_a_system_that_does_not_run(
    here: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """Nothing is started, and no key made, for whoever else may listen where nobody was told to look."""
    (here / ".regulars" / "postgres").mkdir(parents=True)
    fault = "nothing runs on .regulars: start it with `regulars up --data .regulars`"
    assert said(*arguments) == (1, "", f"regulars: {fault}\n")
    monkeypatch.setenv("REGULARS_INGEST_URL", "http://127.0.0.1:8000")  # of another one's database
    assert said(*arguments) == (1, "", f"regulars: {fault}\n")
    assert [path.name for path in (here / ".regulars").iterdir()] == ["postgres"]
    monkeypatch.delenv("REGULARS_INGEST_URL")
    monkeypatch.setenv("REGULARS_DATABASE", "postgresql://127.0.0.1:1/shop")
    told = f"{fault}, or say in REGULARS_INGEST_URL where it answers"
    assert said(*arguments) == (1, "", f"regulars: {told}\n")


def test_a_key_of_an_unknown_shop(here: Path) -> None:
    fault = "unknown shop 'nope'; there are demo, olist, cdnow, online_retail, ga_merch_store, taobao_userbehavior"
    assert said("keys", "create", "--scope", "read", "--shop", "nope") == (1, "", f"regulars: {fault}\n")
    assert nothing_begun(here)


def test_a_migration_of_no_database(here: Path) -> None:
    fault = "REGULARS_DATABASE is not set; the embedded database is migrated by `regulars up`"
    assert said("migrate") == (1, "", f"regulars: {fault}\n")


def test_a_demo_where_something_else_stands(here: Path) -> None:
    (here / "mine").mkdir()
    (here / "mine" / "letter.txt").write_text("dear")
    fault = "mine is not empty and holds no demo; name another folder with --data"
    assert said("demo", "--exit", "--data", "mine") == (1, "", f"regulars: {fault}\n")
    assert [path.name for path in (here / "mine").iterdir()] == ["letter.txt"]


@pytest.mark.parametrize(
    ("name", "value"), [("REGULARS_DATABASE", "postgresql://localhost:5432/shop"), ("REGULARS_KAFKA", "localhost:9092")]
)
def test_a_demo_beside_real_customers(here: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    fault = "the demo has a database and a clock of its own: unset REGULARS_DATABASE and REGULARS_KAFKA"
    assert said("demo", "--exit") == (1, "", f"regulars: {fault}\n")
    assert nothing_begun(here)


def test_every_fault_of_the_settings_is_told_at_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_PORT", "many")
    monkeypatch.setenv("REGULARS_CLOCK", "slow")
    status, printed, noted = said("up")
    assert (status, printed) == (1, "")
    assert noted.startswith("regulars: ")
    assert all(name in noted for name in ("REGULARS_PORT: ", "REGULARS_CLOCK: "))
    assert "Traceback" not in noted
    assert nothing_begun(here)


def test_faults_of_the_shops_are_told(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "shops.yaml").write_text("demo: {zone: Asia/Nowhere, currency: yuan, locale: zh-CN}\n")
    monkeypatch.setenv("REGULARS_SHOPS", "shops.yaml")
    status, _, noted = said("keys", "create", "--scope", "read")
    assert status == 1
    assert noted.startswith("regulars: shops.yaml:\n$.demo.zone: ")
    assert "\n$.demo.currency: " in noted
    assert nothing_begun(here)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("simulate", "olist", ".", "--at", "2018-09-01"), "'2018-09-01' does not match the format"),
        (("simulate", "olist", ".", "--at", "2018-09-01T00:00:00"), "does not match the format"),  # no zone
        (("simulate", "olist", ".", "--orders", "0"), "Invalid value for '--orders'"),
        (("simulate", "excel", "."), "'excel' is not"),
        (("import", "olist"), "olist wants the folder with its files"),
        (("import", "olist", ".", "--live"), "are for files with --mapping"),
        (("import", "nowhere.csv", "--mapping", "online_retail"), "no file nowhere.csv"),
        (("import", "nowhere.csv", "--mapping", "online_retail", "--orders", "2"), "--orders is for olist"),
        (("import", "nowhere.csv", "--mapping", "online_retail", "--file", "a"), "--file is for known data sets"),
        (("simulate", "cdnow", "."), ". holds no CDNOW_sample.txt"),
        (("simulate", "cdnow", ".", "--orders", "2"), ". holds no CDNOW_sample.txt"),
        (("import", "olist", ".", "--url", "http://localhost:8000"), "--url and --key go together"),
        (("privacy", "erase", "c1", "--key", "rk_1"), "--url and --key go together"),
        (("up", "--port", "70000"), "Invalid value for '--port'"),
        (("dead-letters", "list", "--service", "nope"), "'nope' is not one of 'ingest'"),
        (("keys", "create"), "Missing option '--scope'"),
    ],
)
def test_what_can_not_be_asked(here: Path, arguments: tuple[str, ...], fault: str) -> None:
    status, printed, noted = said(*arguments)
    assert (status, printed) == (2, "")
    assert fault in noted
    assert nothing_begun(here)


def test_the_key_may_stand_in_the_environment(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_KEY", "rk_of_the_environment")
    assert elsewhere_of(["http://a"], None) == Elsewhere(["http://a"], "rk_of_the_environment")
    assert elsewhere_of(["http://a"], "rk_given") == Elsewhere(["http://a"], "rk_given")
    assert elsewhere_of(None, None) is None  # of this machine: no key of a system elsewhere is asked for
    status, _, noted = said("privacy", "list", "--url", "http://127.0.0.1:1")
    assert status == 1
    assert noted.startswith("regulars: ingest does not answer at http://127.0.0.1:1")
    assert "rk_of" not in noted


def test_a_source_may_be_of_any_kind(here: Path) -> None:
    status, printed, _ = said("sources", "add", "--help")
    assert status == 0
    assert not [kind for kind in CONNECTORS if kind not in printed]


def test_help_answers_at_once() -> None:
    """What takes long to import waits until a verb is called that needs it."""
    asked = "import sys, regulars.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    imported = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True).stdout.split()
    assert "typer" in imported
    assert not {"aiokafka", "alembic", "asyncpg", "fastapi", "httpx", "pydantic", "sqlalchemy"} & {*imported}
