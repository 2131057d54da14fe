"""Every setting of the house: one flat class, read from REGULARS_* variables, all faults reported at once."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from common.clock import parse_clock

PREFIX = "REGULARS_"
# What a secret must look like, since a fault in one is told without its value; a vault key is 32 bytes in base64.
SECRETS = {
    "vault_key": r"[A-Za-z0-9+/]{43}=",
    "vault_old_keys": r"[A-Za-z0-9+/]{43}=(,[A-Za-z0-9+/]{43}=)*",
    "internal_key": r"\S{32,}",
    "smtp_url": r"smtps?://(\S+@)?[^\s@/]+/?",
}
DSN_WITHOUT_ROLE = r"^postgres(ql)?://[^\s@/]*/[^\s/?]+(\?\S*)?$"


def _clock(text: str) -> str:
    parse_clock(text)
    return text


class SettingsError(Exception):
    """One line per fault: the variable's name, what is wrong and what belongs there, never its value."""


class Settings(BaseSettings):
    """What may differ from one installation to the next. An empty variable counts as one not set."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True)

    database: str | None = Field(
        default=None, pattern=DSN_WITHOUT_ROLE, description="postgresql://host:port/name, no role; none: embedded"
    )
    database_password: SecretStr | None = Field(default=None, description="password of the services' roles")
    admin_database: str | None = Field(
        default=None, repr=False, pattern=r"^postgres(ql)?://\S+$", description="DSN with a role that makes roles"
    )
    pool_max_connections: int = Field(default=4, ge=2, le=100, description="connections of one service")
    kafka: str | None = Field(
        default=None, pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$", description="host:port,...; none: PostgreSQL is the bus"
    )
    kafka_replication: int = Field(default=1, ge=1, le=9, description="copies of a topic made by us; 3 on a cluster")
    kafka_session_ms: int = Field(
        default=10_000, ge=1_000, le=300_000, description="a reader silent for so long loses its partitions"
    )
    clock: Annotated[str, AfterValidator(_clock)] = Field(default="real", description="real, frozen:... or another")
    shops: FilePath | None = Field(default=None, description="YAML file; none: the packaged shops.yaml")

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65_535, description="port to listen on; 0 takes a free one")
    body_max_bytes: int = Field(default=8_000_000, ge=1_000, le=1_000_000_000, description="largest request body")
    rate_per_s: float = Field(
        default=0, ge=0, le=1_000_000, description="requests and events of one API key or source; 0: no limit"
    )
    rate_burst: int = Field(default=10_000, ge=1, le=10_000_000, description="of them at once, after a pause")
    failures_per_s: int = Field(
        default=50, ge=0, le=100_000, description="unknown keys and wrong signatures of one address; 0: no limit"
    )
    ingest_url: str = Field(
        default="http://127.0.0.1:8000",
        pattern=r"^https?://[^\s/]+$",
        description="where notifier asks the vault, commands the system",
    )
    shutdown_s: int = Field(default=5, ge=1, le=300, description="one deadline for all that has to stop")

    batch_max_messages: int = Field(default=2_000, ge=1, le=100_000, description="messages in one transaction")
    poll_ms: int = Field(default=100, ge=1, le=60_000, description="longest wait for a batch to begin")
    tick_ms: int = Field(default=200, ge=10, le=60_000, description="pause between watermarks under load")
    tick_idle_ms: int = Field(default=1_000, ge=10, le=60_000, description="pause between watermarks at rest")
    watermark_patience_s: int = Field(default=60, ge=1, le=86_400, description="a silent source holds alarms so long")
    dead_letters_in_a_row_max: int = Field(default=100, ge=1, le=1_000_000, description="then it is us: stop")
    flush_max_events: int = Field(default=2_000, ge=1, le=100_000, description="events ingest commits at once")
    queue_max_events: int = Field(default=20_000, ge=1, le=1_000_000, description="events waiting to be committed")
    publish_scales: bool = Field(default=True, description="RFM's scales are made anew at their times")
    backfill_per_s: int = Field(default=1_000, ge=1, le=100_000, description="customers asked about an edited segment")
    backfill_lag_max_s: float = Field(default=5, gt=0, le=3_600, description="behind by more, live events go first")
    reconcile_s: int = Field(default=300, ge=5, le=86_400, description="pause between two looks for missed webhooks")

    vault_key: SecretStr | None = Field(default=None, description="32 bytes in base64: openssl rand -base64 32")
    vault_old_keys: SecretStr | None = Field(default=None, description="vault keys before it, with commas; they open")
    raw_days: int = Field(default=30, ge=0, le=3_650, description="how long platforms' deliveries are kept; 0: not")
    internal_key: SecretStr | None = Field(default=None, description="32+ characters the services know each other by")
    smtp_url: SecretStr | None = Field(
        default=None, description="smtp:// or smtps://user:password@host:port; none: e-mail stays in the mailbox"
    )
    mail_from: str = Field(
        default="Regulars <regulars@localhost>", pattern=r"^[^@\r\n]+@[^@\r\n]+$", description="sender of e-mail"
    )
    sms_signature: str = Field(default="Regulars", max_length=20, description="name in front of an SMS")

    log_level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="least that is logged")
    log_format: Literal["json", "console"] = Field(default="json", description="console is for the eye")

    @field_validator(*SECRETS)
    @classmethod
    def _secret(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is not None and not re.fullmatch(SECRETS[info.field_name or ""], value.get_secret_value()):
            raise ValueError("does not have the right form")
        return value


def load_settings(**overrides: Any) -> Settings:
    """The settings of this process; an override (by field name) goes before a variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        faults = [(str(fault["loc"][0]), fault["msg"].removeprefix("Value error, ")) for fault in error.errors()]
    known = {name: f" ({field.description})" for name, field in Settings.model_fields.items() if field.description}
    raise SettingsError("\n".join(f"{PREFIX}{name.upper()}: {msg}{known.get(name, '')}" for name, msg in faults))
