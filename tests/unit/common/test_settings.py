"""Settings: where values come from, how faults are told, what is kept secret."""

import os
from pathlib import Path

import pytest

from common.settings import Settings, SettingsError, load_settings

VAULT_KEY = "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("REGULARS_")]:
        monkeypatch.delenv(name)


def test_everything_has_a_default_for_one_machine() -> None:
    settings = load_settings()
    assert (settings.database, settings.kafka, settings.vault_key, settings.shops) == (None, None, None, None)
    assert (settings.host, settings.port, settings.clock) == ("127.0.0.1", 8000, "real")
    assert (settings.tick_ms, settings.tick_idle_ms, settings.watermark_patience_s) == (200, 1_000, 60)


def test_a_variable_goes_before_the_default_an_override_before_both_and_an_empty_one_counts_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REGULARS_PORT", "9000")
    monkeypatch.setenv("REGULARS_POLL_MS", "50")
    monkeypatch.setenv("REGULARS_KAFKA", "")
    settings = load_settings(port=9001)
    assert (settings.port, settings.poll_ms, settings.kafka) == (9001, 50, None)


def test_all_faults_are_told_at_once_each_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGULARS_PORT", "90000")
    monkeypatch.setenv("REGULARS_CLOCK", "frozen:2018-09-01T00:00:00")
    monkeypatch.setenv("REGULARS_BATCH_MAX_MESSAGES", "many")
    monkeypatch.setenv("REGULARS_LOG_FORMAT", "xml")
    monkeypatch.setenv("REGULARS_SHOPS", "/nowhere/shops.yaml")
    with pytest.raises(SettingsError) as refused:
        load_settings(colour="blue")
    lines = dict(line.split(": ", 1) for line in str(refused.value).splitlines())
    assert sorted(lines) == [
        "REGULARS_BATCH_MAX_MESSAGES",
        "REGULARS_CLOCK",
        "REGULARS_COLOUR",
        "REGULARS_LOG_FORMAT",
        "REGULARS_PORT",
        "REGULARS_SHOPS",
    ]
    assert lines["REGULARS_PORT"] == (
        "Input should be less than or equal to 65535 (port to listen on; 0 takes a free one)"
    )
    assert lines["REGULARS_CLOCK"].startswith("'2018-09-01T00:00:00' has no offset")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE", "postgresql://ingest:hunter2@db/regulars"),
        ("DATABASE", "mysql://db/regulars"),
        ("DATABASE", "postgresql://db:5432"),
        ("ADMIN_DATABASE", "hunter2"),
        ("KAFKA", "broker"),
        ("INGEST_URL", "127.0.0.1:8000"),
        ("MAIL_FROM", "shop@example.com\r\nBcc: all@example.com"),
        ("VAULT_KEY", "hunter2"),
        ("VAULT_KEY", VAULT_KEY[:-5] + "="),
        ("INTERNAL_KEY", "hunter2"),
        ("SMTP_URL", "https://user:hunter2@mail.example.com"),
    ],
)
def test_a_fault_names_its_variable_and_never_a_secret(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"REGULARS_{name}", value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"REGULARS_{name}: ")
    assert "\n" not in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database", "postgresql://db.example.com:5432/regulars"),
        ("database", "postgresql://[::1]:5432/regulars?sslmode=require"),
        ("database", "postgresql:///regulars?host=/var/run/postgresql"),
        ("admin_database", "postgresql://admin:p%40ss@db/regulars"),
        ("kafka", "a:9092,[::1]:9093"),
        ("smtp_url", "smtps://user:p%40ss@mail.example.com:465"),
        ("smtp_url", "smtp://127.0.0.1:1025"),
        ("vault_key", VAULT_KEY),
        ("internal_key", "rk_0123abcd_0123456789abcdef0123456789abcdef"),
        ("log_level", "debug"),
    ],
)
def test_what_is_right_is_taken(name: str, value: str) -> None:
    taken = getattr(load_settings(**{name: value}), name)
    assert (taken if isinstance(taken, str) else taken.get_secret_value()) == value


def test_secrets_are_masked_when_settings_are_shown() -> None:
    settings = load_settings(
        database_password="hunter2",
        admin_database="postgresql://admin:hunter2@db/regulars",
        vault_key=VAULT_KEY,
        internal_key="hunter2" * 5,
        smtp_url="smtp://user:hunter2@mail",
    )
    assert "hunter2" not in repr(settings) + str(settings)
    assert VAULT_KEY not in repr(settings) + str(settings)


def test_every_setting_says_what_it_is_for_and_every_number_is_bounded() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        if field.annotation is int:
            bounds = {type(bound).__name__ for bound in field.metadata}
            assert {"Ge", "Le"} <= bounds, name


def test_a_file_of_shops_is_a_path(tmp_path: Path) -> None:
    file = tmp_path / "shops.yaml"
    file.touch()
    assert load_settings(shops=str(file)).shops == file
