"""`regulars up`: everything in one process, until Ctrl-C."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from common.house import House, running, until_stopped
from regulars.home import DEFAULT_SHOP, Home, admin_of
from regulars.services import ALL

console = Console()


async def up(folder: Path, kafka: bool, **overrides: Any) -> None:
    """Runs all services until SIGINT or SIGTERM."""
    home = Home(folder)
    async with home.house(kafka=kafka, **overrides) as house, running(house, ALL, "Regulars") as url:
        key = await home.owner_key(admin_of(house.settings), DEFAULT_SHOP)
        console.print(_welcome(house, url, key, folder))
        await until_stopped()
        console.print("Stopping; what was answered is kept.")


def _welcome(house: House, url: str, key: str, folder: Path) -> Panel:
    rows = Table.grid(padding=(0, 2))
    rows.add_row("API and its documentation", f"{url}/docs")
    rows.add_row("Messages that would have left", f"{url}/mailbox?key={key}")
    rows.add_row("Metrics, health", f"{url}/metrics  {url}/health/ready")
    rows.add_row(f"API key of shop '{DEFAULT_SHOP}'", key)
    rows.add_row("Bus", f"Kafka at {house.settings.kafka}" if house.settings.kafka else "PostgreSQL")
    rows.add_row("Data", f"{folder} (Ctrl-C stops; start again and it goes on where it was)")
    return Panel(rows, title="Regulars is up", expand=False)
