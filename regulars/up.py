"""`regulars up`: everything in one process, until Ctrl-C."""

from pathlib import Path
from typing import Any

from rich.console import Console

from common.house import House, running, until_stopped
from regulars.home import DEFAULT_SHOP, Home, admin_of
from regulars.services import ALL

console = Console()


async def up(folder: Path, kafka: bool, **overrides: Any) -> None:
    """Runs all services until SIGINT or SIGTERM."""
    home = Home(folder)
    async with home.house(kafka=kafka, **overrides) as house, running(house, ALL, "Regulars") as url:
        key = await home.owner_key(admin_of(house.settings), DEFAULT_SHOP)
        console.print(_welcome(house, url, key, folder), soft_wrap=True, highlight=False)
        await until_stopped()
        console.print("Stopping; what was answered is kept.")


def _welcome(house: House, url: str, key: str, folder: Path) -> str:
    bus = f"Kafka at {house.settings.kafka}" if house.settings.kafka else "PostgreSQL"
    return "\n".join(
        (
            "Regulars is up. Ctrl-C stops it; started again, it goes on where it was.",
            f"  API and its documentation      {url}/docs",
            f"  Messages that would have left  {url}/mailbox?key={key}",
            f"  Metrics and health             {url}/metrics  {url}/health/ready",
            f"  API key of shop '{DEFAULT_SHOP}'         {key}",
            f"  Bus                            {bus}",
            f"  Data                           {folder}",
        )
    )
