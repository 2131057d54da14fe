"""Logs: one shape for ours and the libraries', nothing secret or personal in them."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from common.telemetry.logs import configure, mask


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    handlers, level = logging.root.handlers, logging.root.level
    yield
    logging.root.handlers, logging.root.level = handlers, level
    structlog.reset_defaults()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize(
    "key",
    ["phone", "email", "e_mails", "customer_name", "firstName", "address", "addresses", "review_text", "apiKey",
     "X-API-Key", "Authorization", "database_password", "client_secret", "token", "cookies"],
)  # fmt: skip
def test_what_looks_secret_or_personal_is_masked(key: str) -> None:
    assert mask(None, "info", {"event": "x", key: "13800138000"}) == {"event": "x", key: "***"}


@pytest.mark.parametrize(
    "key", ["event", "filename", "context", "key_id", "logger", "monkey", "hostname", "keyboard", "customer_id"]
)
def test_what_only_contains_such_a_word_is_not(key: str) -> None:
    assert mask(None, "info", {key: "x"}) == {key: "x"}


def test_masking_goes_as_deep_as_the_value() -> None:
    event = {"event": "x", "order": {"id": "o-1", "to": [{"name": "Li Lei", "city": "Ningbo"}]}}
    assert mask(None, "info", event) == {
        "event": "x",
        "order": {"id": "o-1", "to": [{"name": "***", "city": "Ningbo"}]},
    }


def test_ours_and_the_libraries_lines_have_one_shape(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.stdlib.get_logger("ingest.flush").info("flushed", events=3, phone="13800138000")
        logging.getLogger("uvicorn.error").warning("started on %s", "127.0.0.1")
    ours, theirs = lines(capsys.readouterr().err)
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "flushed",
        "level": "info",
        "logger": "ingest.flush",
        "events": 3,
        "phone": "***",
        "request_id": "r-1",
    }
    assert theirs.pop("timestamp").endswith("Z")
    assert theirs == {
        "event": "started on 127.0.0.1",
        "level": "warning",
        "logger": "uvicorn.error",
        "request_id": "r-1",
    }


def test_the_level_holds_for_both_and_access_lines_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure("warning", "json")
    configure("warning", "json")
    structlog.stdlib.get_logger("a").info("not said")
    logging.getLogger("b").info("not said")
    logging.getLogger("uvicorn.access").info("GET /v1/customers?email=li@example.com")
    structlog.stdlib.get_logger("a").warning("said", shop="茶")
    logged = capsys.readouterr().err
    assert [line["event"] for line in lines(logged)] == ["said"]
    assert "茶" in logged


@pytest.mark.parametrize("shape", ["json", "console"])
def test_a_traceback_tells_where_and_not_the_values_there(capsys: pytest.CaptureFixture[str], shape: str) -> None:
    configure("info", shape)
    phone = "00083100831"[::-1]  # the traceback quotes this line, and must not quote its result
    try:
        raise KeyError(len(phone))
    except KeyError:
        structlog.stdlib.get_logger("a").exception("failed")
        logging.getLogger("b").exception("failed too")
    logged = capsys.readouterr().err
    assert logged.count("KeyError: 11") == 2
    assert "test_logs.py" in logged
    assert "13800138000" not in logged
    assert "\x1b" not in logged  # no colours where nobody looks
