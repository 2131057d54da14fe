"""`regulars doctor`: what is there, what is missing, and how to get it."""

import platform
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import asyncpg
from rich.console import Console
from rich.table import Table

from common.bus.kafka import make_topics
from common.settings import Settings, SettingsError, load_settings
from common.shops import load_shops
from journeys import presets as journeys_presets
from loyalty import presets as loyalty_presets
from regulars.home import Home
from regulars.kafka_broker import missing
from segmentation import presets as segmentation_presets

DISK_MIN_GB = 2
GB = 10**9

console = Console()


class Finding(NamedTuple):
    """One thing looked at; `needed` is False for what only some ways of running want."""

    what: str
    state: str
    fine: bool
    needed: bool = True


async def doctor(folder: Path) -> int:
    """Prints the findings; 1 when something needed is wrong."""
    findings = [finding async for finding in _look(folder)]
    table = Table("", "what", "state")
    for finding in findings:
        sign = "[green]ok[/]" if finding.fine else "[red]missing[/]" if finding.needed else "[yellow]not here[/]"
        table.add_row(sign, finding.what, finding.state)
    console.print(table)
    return int(any(finding.needed and not finding.fine for finding in findings))


async def _look(folder: Path) -> AsyncIterator[Finding]:
    yield Finding("Python", platform.python_version(), sys.version_info >= (3, 11))
    free_gb = shutil.disk_usage(folder if folder.exists() else Path.cwd()).free / GB
    yield Finding("disk", f"{free_gb:.0f} GB free (wanted: {DISK_MIN_GB})", free_gb >= DISK_MIN_GB)
    try:
        settings = load_settings()
        yield Finding("settings", "REGULARS_* variables are valid", fine=True)
    except SettingsError as error:
        yield Finding("settings", str(error), fine=False)
        return
    try:
        shops = load_shops(settings.shops)
        for rules in (segmentation_presets, journeys_presets, loyalty_presets):
            rules.load(shops)
        yield Finding("shops and their presets", ", ".join(shops), fine=True)
    except ValueError as error:
        yield Finding("shops and their presets", str(error), fine=False)
    yield await _database(Home(folder), settings)
    yield await _kafka(settings)
    e_mail = "sent by SMTP" if settings.smtp_url else "kept in the mailbox page; set REGULARS_SMTP_URL to send it"
    yield Finding("e-mail", e_mail, fine=settings.smtp_url is not None, needed=False)


async def _database(home: Home, settings: Settings) -> Finding:
    where = "the one of REGULARS_DATABASE" if settings.database else f"embedded, in {home.folder}"
    try:
        async with home.database(settings) as complete:
            connection = await asyncpg.connect(complete.admin_database or complete.database)
            version = await connection.fetchval("SHOW server_version")
            await connection.close()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is what the doctor is asked for
        return Finding("PostgreSQL", f"{where}: {error}", fine=False)
    return Finding("PostgreSQL", f"{where}: version {version}", fine=True)


async def _kafka(settings: Settings) -> Finding:
    if settings.kafka:
        try:
            await make_topics(settings.kafka, (), settings.kafka_replication)
        except Exception as error:  # noqa: BLE001 - as above
            return Finding("Kafka", f"{settings.kafka} does not answer: {error}", fine=False)
        return Finding("Kafka", f"{settings.kafka} answers", fine=True)
    why_not = missing()
    return Finding(
        "Kafka", why_not or "a broker can be started here (regulars up --kafka)", why_not is None, needed=False
    )
