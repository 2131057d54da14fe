"""`regulars up` as its user meets it: what it prints, what it refuses and why, how it stops, and what outlives it."""

import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.commands import KEY, Up, run, running, servers_on, until, up
from tests.e2e.events import event, money, placed
from tests.e2e.killing import break_database, kill_database
from tests.memory import temporary

BODY_MAX_BYTES = 100_000
IDLE_MAX_BYTES = 400_000_000
STOP_WITHIN_S = 5.0
HAPPENS_WITHIN_S = 30.0
GIVES_UP_WITHIN_S = 40.0  # pauses of 11 s, and eight starts
SENDERS = 8
MANY = 500
FACTOR = 14_400  # an hour in a quarter of a second


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with temporary() as made:
        yield made


@pytest.fixture(scope="module")
def here(folder: Path) -> Iterator[Up]:
    """One installation for all tests that leave it running."""
    with up(folder, body_max_bytes=str(BODY_MAX_BYTES)) as started:
        yield started


def post(here: Up, content: bytes | list[Any] | dict[str, Any], **headers: str) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return here.client.post("/v1/events", content=body, headers={"content-type": "application/json", **named})


def refused(here: Up) -> list[dict[str, Any]]:
    """All refused events, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = here.client.get(
            "/v1/events/refused", params={"limit": 5} | ({"cursor": cursor} if cursor else {})
        ).json()
        items, cursor = items + page["items"], page["next"]
    return items


# ---------------------------------------------------------------------------------------------- what it says


def test_it_says_where_it_is_and_gives_a_key(here: Up) -> None:
    assert f"{here.url}/docs" in here.command.said
    assert f"{here.url}/mailbox?key={here.key}" in here.command.said
    assert here.client.get("/docs").status_code == 200
    assert here.client.get("/health/live").json() == {"status": "live"}
    assert here.client.get("/health/ready").json() == {"status": "ready"}
    assert "regulars_" in here.client.get("/metrics").text
    mailbox = httpx.get(f"{here.url}/mailbox?key={here.key}", follow_redirects=True)
    assert (mailbox.status_code, mailbox.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_idle_it_needs_little_memory(here: Up) -> None:
    assert here.command.process.memory_info().rss < IDLE_MAX_BYTES


def test_a_second_one_on_the_folder_is_told_in_one_line(here: Up, folder: Path) -> None:
    status, said = run(folder, "up", "--port", "0")
    pid = here.command.process.pid
    assert (status, said) == (
        1,
        f"regulars: .regulars is in use: Regulars runs on it at {here.url} (process {pid})\n",
    )
    assert here.client.get("/health/ready").is_success


def test_a_port_that_is_taken_is_told_in_one_line(here: Up, folder: Path, tmp_path: Path) -> None:
    port = here.url.rpartition(":")[2]
    status, said = run(tmp_path, "up", "--port", port)
    fault = f"can not listen on 127.0.0.1 port {port}: Address already in use; --port names another"
    assert (status, said) == (1, f"regulars: {fault}\n")
    assert servers_on(tmp_path) == []
    assert not (tmp_path / ".regulars").exists()
    status, said = run(folder, "up", "--port", port)
    assert (status, ".regulars is in use: Regulars runs on it" in said) == (1, True), (
        "said of who has it, not of the port"
    )


def test_keys_create_prints_a_key_that_may_what_it_was_made_for(here: Up, folder: Path) -> None:
    status, said = run(folder, "keys", "create", "--scope", "read")
    key = said.strip()
    assert status == 0
    assert KEY.fullmatch(key)
    assert here.client.get("/v1/segments", headers={"X-API-Key": key}).status_code == 200
    denied = post(here, placed("o1"), x_api_key=key)
    assert denied.status_code == 403
    assert denied.headers["content-type"] == "application/problem+json"
    assert "'ingest'" in denied.json()["detail"]
    assert key not in (folder / ".regulars" / "secrets.json").read_text()


def test_keys_create_says_which_scopes_there_are(folder: Path, here: Up) -> None:
    status, said = run(folder, "keys", "create", "--scope", "reed")
    known = "['admin', 'ingest', 'internal', 'operate', 'read']"
    assert (status, said) == (1, f"regulars: scopes ['reed']: expected some of {known}\n")


# ------------------------------------------------------------------------------------------ what it refuses

NOW = datetime.now(UTC)
ORDER: dict[str, Any] = {"order_id": "o1", "amount": money(1_000)}
BAD_EVENTS: dict[str, tuple[bytes | dict[str, Any], str]] = {
    "malformed JSON": (b'{"id": "e1", "type": "visit", "subject"', "$"),
    "not an object": (b'"visit"', "$"),
    "an unknown type": (event("e1", "order.exploded"), "$.type"),
    "no type": ({"id": "e1", "subject": "c1"}, "$.type"),
    "a time in seconds": (event("e1", "visit") | {"time": 1_735_689_600}, "$.time"),
    "a time without a zone": (event("e1", "visit") | {"time": "2026-01-01T00:00:00"}, "$.time"),
    "older than ten years": (event("e1", "visit", at=NOW - timedelta(days=3_660)), "$.time"),
    "more than a day ahead": (event("e1", "visit", at=NOW + timedelta(days=1, hours=1)), "$.time"),
    "money as a float": (event("e1", "order.paid", **ORDER | {"amount": money(1_000) | {"amount_minor": 10.5}}), ""),
    "money as a text": (event("e1", "order.paid", **ORDER | {"amount": money(1_000) | {"amount_minor": "10"}}), ""),
    "more money than there is": (event("e1", "order.paid", **ORDER | {"amount": money(10**16)}), ""),
    "another currency": (event("e1", "order.paid", **ORDER | {"amount": money(1, "USD")}), "$.data.amount.currency"),
    "a field nobody knows": (event("e1", "order.paid", **ORDER, colour="red"), "$.data.colour"),
    "another shop": (event("e1", "visit") | {"shopid": "olist"}, "$.shopid"),
    "a phone number for an id": (event("e1", "visit", customer="+8613800138000"), "$.subject"),
    "nobody": ({"id": "e1", "type": "visit", "data": {}}, "$.subject"),
}


@pytest.mark.parametrize("what", BAD_EVENTS)
def test_a_bad_event_is_refused_with_its_path_and_kept(here: Up, what: str) -> None:
    body, path = BAD_EVENTS[what]
    path = path or "$.data.amount.amount_minor"
    before = len(refused(here))
    answer = post(here, body)
    problem = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), problem
    assert (problem["status"], problem["path"]) == (422, path)
    assert problem["title"]
    assert problem["detail"]
    kept = refused(here)
    assert len(kept) == before + 1
    assert (kept[-1]["path"], kept[-1]["reason"]) == (path, problem["detail"])


def test_what_is_no_events_at_all_is_refused_as_a_whole(here: Up) -> None:
    before = len(refused(here))
    packed = {"content_encoding": "gzip"}
    requests: list[tuple[bytes, dict[str, str], int]] = [
        (b"", {}, 400),
        (b"  \n", {}, 400),
        (b"[]", {}, 400),
        (b"\n\n", {"content_type": "application/x-ndjson"}, 400),
        (b'[{"id": "e1"', {}, 400),
        (b"not gzip", packed, 400),
        (gzip.compress(json.dumps(event("e1", "visit")).encode())[:-9], packed, 400),
        (gzip.compress(b" " * (BODY_MAX_BYTES + 1)), packed, 413),
        (b" " * (BODY_MAX_BYTES + 1), {}, 413),
        (json.dumps([event(str(n), "visit") for n in range(10_001)]).encode()[: BODY_MAX_BYTES + 1], {}, 413),
    ]
    for body, headers, status in requests:
        answer = post(here, body, **headers)
        said = (body[:20], answer.text)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), said
        assert answer.json()["path"] == "$", said
        assert answer.json()["detail"], said
    assert len(refused(here)) == before, "there is no event in them to keep"


def test_a_gzip_bomb_does_not_fill_the_memory(here: Up) -> None:
    bomb = gzip.compress(gzip.compress(b"\0" * 50_000_000), 9)
    assert len(bomb) < BODY_MAX_BYTES
    assert post(here, gzip.compress(b"\0" * 80_000_000, 9), content_encoding="gzip").status_code == 413
    assert post(here, bomb, content_encoding="gzip").status_code in (413, 422)
    assert here.command.process.memory_info().rss < IDLE_MAX_BYTES


def test_a_wrong_key_and_none_are_refused(here: Up) -> None:
    for key in ("", "rk_nope", here.key[:-1] + ("A" if here.key[-1] != "A" else "B")):
        answer = post(here, placed("o1"), x_api_key=key)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
        assert here.key not in answer.text


def test_of_a_batch_the_good_are_taken_and_the_bad_are_kept(here: Up, folder: Path) -> None:
    before = len(refused(here))
    lines = [
        json.dumps(event("b1", "visit", "batch")),
        json.dumps(event("b2", "order.paid", "batch", **ORDER | {"amount": money(1_000) | {"amount_minor": 9.99}})),
        "",
        "no JSON",
        json.dumps(event("b3", "visit", "batch")),
        json.dumps(event("b1", "visit", "batch")),
    ]
    answer = post(here, "\n".join(lines).encode(), content_type="application/x-ndjson")
    assert answer.status_code == 202
    said = answer.json()
    assert (said["accepted"], said["duplicate"], said["rejected"]) == (2, 1, 2)
    places = [result.get("path", result["status"]) for result in said["results"]]
    assert places == ["accepted", "$[1].data.amount.amount_minor", "$[2]", "accepted", "duplicate"]
    kept = refused(here)[before:]
    assert [one["path"] for one in kept] == ["$.data.amount.amount_minor", "$"]
    until(lambda: visits(here, "batch") == 2 or None, "both visits are counted", HAPPENS_WITHIN_S)

    status, listed = run(folder, "dead-letters", "list", "--service", "ingest")
    assert status == 0
    for one in kept:
        (line,) = [line for line in listed.splitlines() if line.split()[:2] == ["ingest", str(one["id"])]]
        assert line.endswith(f"{one['path']}: {one['reason']}")
    as_array = post(here, [event("b1", "visit", "batch"), {"id": "b4"}])
    assert (as_array.status_code, as_array.json()["duplicate"], as_array.json()["rejected"]) == (202, 1, 1)


def visits(here: Up, customer: str) -> int | None:
    answer = here.client.get(f"/v1/customers/{customer}")
    return int(answer.json()["visits"]) if answer.is_success else None


# ------------------------------------------------------------------------------------------- what outlives it


def test_what_was_answered_and_what_is_pending_outlive_a_kill(tmp_path: Path) -> None:
    folder = tmp_path / ".regulars"
    began = datetime.now(UTC)
    person = event("reg", "customer.registered", locale="zh-CN") | {"personal": {"phone": "+8613800138000"}}
    batch = [
        event(f"o{n}:done", "order.completed", f"p{n % 50}", order_id=f"o{n}", amount=money(250)) for n in range(MANY)
    ]
    bad = [{"id": "bad"}, event("ahead", "visit", "ahead", at=began + timedelta(hours=24.5)), []]
    with up(tmp_path) as first:
        _, olist_key = run(tmp_path, "keys", "create", "--scope", "ingest", "--shop", "olist")
        assert post(first, [person, placed("waiting")]).json()["accepted"] == 2
        assert (
            post(first, "\n".join(map(json.dumps, bad)).encode(), content_type="application/x-ndjson").json()[
                "rejected"
            ]
            == 3
        )
        ahead = {"type": "page", "userId": "ahead", "timestamp": (began + timedelta(hours=24.5)).isoformat()}
        assert first.client.post("/v1/batch", json={"batch": [ahead]}).json() == {"success": True}
        answer = post(first, batch)
        first.command.kill()
        assert answer.json()["accepted"] == MANY
    told = json.loads((folder / "running.json").read_text())
    (folder / "running.json").write_text(json.dumps(told | {"pid": os.getpid()}))  # as happens in a container

    (tmp_path / "shops.yaml").write_text("demo: {zone: Asia/Shanghai, currency: CNY, locale: zh-CN}\n")
    now = datetime.now(UTC).isoformat()
    with up(tmp_path, clock=f"accelerated:{FACTOR}@{now}@{now}", shops="shops.yaml") as second:
        assert second.key == first.key
        assert [one["path"] for one in refused(second)] == ["$.type", "$.time", "$", "$.time"]
        again = post(second, [*batch, person, placed("waiting")]).json()
        assert (again["accepted"], again["duplicate"], again["rejected"]) == (0, MANY + 2, 0)
        balances = until(lambda: all_balances(second), "all points are posted", HAPPENS_WITHIN_S)
        assert balances == [2 * MANY // 50] * 50
        gone = post(second, placed("o1"), x_api_key=olist_key.strip())
        assert (gone.status_code, gone.json()["title"]) == (403, "Unknown shop")

        inbox = until(
            lambda: second.client.get("/v1/inbox/c1").json()["items"] or None, "in the inbox", HAPPENS_WITHIN_S
        )
        assert [item["step"] for item in inbox] == ["5m"]
        letters = until(lambda: two_letters(second), "two SMS in the mailbox", HAPPENS_WITHIN_S)
        assert [letter["message_key"] for letter in letters] == [
            f"payment_reminder:waiting:{wait}" for wait in ("1h", "24h")
        ]
        assert letters[0]["to"] == "138****8000"
        for letter, hours in zip(letters, (1, 24), strict=True):
            assert timedelta(hours=hours) <= datetime.fromisoformat(letter["at"]) - began < timedelta(hours=hours + 48)

        # The time of those two that were a day ahead has come; the others are refused for good, one stays where it is.
        status, said = run(tmp_path, "dead-letters", "replay", "ingest")
        assert (status, said) == (0, "4 sent again: 2 accepted, 0 duplicate, 0 ignored, 1 refused, 1 unreadable\n")
        until(lambda: visits(second, "ahead") == 2 or None, "the visits are counted", HAPPENS_WITHIN_S)
        waiting = [(one["id"], one["path"]) for one in refused(second) if one["replayed_at"] is None]
        assert waiting == [(3, "$"), (5, "$.type")]
        status, listed = run(tmp_path, "dead-letters", "list")
        assert status == 0
        assert [line.split()[1] for line in listed.splitlines()] == ["3", "5"]
        status, listed = run(tmp_path, "dead-letters", "list", "--all")
        assert [line.split()[1] for line in listed.splitlines()] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("whole", [False, True], ids=["its head is killed", "all of it is killed"])
def test_its_database_is_killed_and_everything_goes_on(tmp_path: Path, whole: bool) -> None:
    sent = [
        event(f"o{n}:done", "order.completed", f"p{n % 50}", order_id=f"o{n}", amount=money(250)) for n in range(MANY)
    ]
    with up(tmp_path) as here, ThreadPoolExecutor(SENDERS) as senders:
        answered: list[int] = []
        refused: list[httpx.Response] = []

        def send(one: dict[str, Any]) -> None:
            """Until it is taken, as a webhook sender does."""

            def taken() -> bool | None:
                answer = post(here, one)
                if answer.status_code == 202:
                    answered.append(1)
                    return True
                refused.append(answer)
                return None

            until(taken, "the event is taken", HAPPENS_WITHIN_S)

        sending = [senders.submit(send, one) for one in sent]
        for kills in (1, 2):
            until(lambda: len(answered) > kills * MANY // 4 or None, "some are answered", HAPPENS_WITHIN_S)  # noqa: B023
            kill_database(tmp_path / ".regulars", whole=whole)
            until(lambda: here.command.noted.count("PostgreSQL is back") == kills or None, "back", HAPPENS_WITHIN_S)  # noqa: B023
        for one in sending:
            one.result()
        assert refused, "nobody noticed"
        assert {(answer.status_code, answer.headers["retry-after"]) for answer in refused} == {(503, "1")}
        until(lambda: here.client.get("/health/ready").is_success or None, "ready again", HAPPENS_WITHIN_S)
        assert until(lambda: all_balances(here), "all points are posted", HAPPENS_WITHIN_S) == [2 * MANY // 50] * 50
        assert here.client.get("/v1/ledger/audit").json()["points_issued"] == 2 * MANY
        assert run(tmp_path, "dead-letters", "list", "--all") == (0, "No dead letters.\n")
        here.command.send(signal.SIGINT)
        assert here.command.ended(STOP_WITHIN_S) == 0
        assert "never retrieved" not in here.command.noted


def test_a_database_that_can_not_be_started_again_ends_it_with_the_reason(tmp_path: Path) -> None:
    with up(tmp_path) as here:
        break_database(tmp_path / ".regulars")
        assert here.command.ended(GIVES_UP_WITHIN_S) == 1
        fault = "regulars: PostgreSQL has ended, and 8 tries to start it again failed: PostgreSQL did not start on "
        _, _, told = here.command.noted.partition(fault)
        assert "could not find the database system" in told
        assert "Traceback" not in told
        assert "never retrieved" not in here.command.noted
    assert servers_on(tmp_path) == []


def test_a_ctrl_c_while_its_database_is_started_again_is_clean_too(tmp_path: Path) -> None:
    with up(tmp_path) as here:
        break_database(tmp_path / ".regulars")
        here.command.until_said("try 3 of 8: PostgreSQL did not start")
        here.command.send(signal.SIGINT)
        assert here.command.ended(STOP_WITHIN_S) == 0
        assert here.command.printed.rstrip().endswith("Stopping; what was answered is kept.")
        assert "never retrieved" not in here.command.noted
    assert servers_on(tmp_path) == []


def all_balances(here: Up) -> list[int] | None:
    accounts = [here.client.get(f"/v1/accounts/p{number}") for number in range(50)]
    if not all(answer.is_success for answer in accounts):
        return None
    balances = [answer.json()["points"] for answer in accounts]
    return balances if sum(balances) >= 2 * MANY else None


def two_letters(here: Up) -> list[dict[str, Any]] | None:
    letters: list[dict[str, Any]] = here.client.get("/v1/mailbox").json()["items"]
    return sorted(letters, key=lambda letter: int(letter["id"])) if len(letters) >= 2 else None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stops_at_once_and_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with up(tmp_path) as here:
        post(here, placed("o1"))
        assert servers_on(tmp_path)
        began = time.monotonic()
        here.command.send(number)
        assert here.command.ended(STOP_WITHIN_S) == 0
        assert time.monotonic() - began < STOP_WITHIN_S
        assert "Traceback" not in here.command.said
        assert here.command.said.rstrip().endswith("Stopping; what was answered is kept.")
    assert servers_on(tmp_path) == []
    assert not (tmp_path / ".regulars" / "running.json").exists()


def test_a_ctrl_c_while_it_starts_is_clean_too(tmp_path: Path) -> None:
    with running(tmp_path, "up", "--port", "0") as command:
        until(lambda: servers_on(tmp_path) or None, "PostgreSQL starts", HAPPENS_WITHIN_S)
        command.send(signal.SIGINT)
        assert command.ended(STOP_WITHIN_S) == 130
        assert "Traceback" not in command.said
    assert servers_on(tmp_path) == []
