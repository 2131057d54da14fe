"""`regulars up`: everything in one process, until Ctrl-C."""

from pathlib import Path
from typing import Any

from rich.console import Console

from common.house import House, running, until_stopped
from regulars.home import Home, admin_of
from regulars.openers import ALL

console = Console()


async def up(folder: Path, kafka: bool, **overrides: Any) -> None:
    """Runs all services until SIGINT or SIGTERM."""
    home = Home(folder)
    async with home.house(kafka=kafka, **overrides) as house, running(house, ALL, "Regulars") as url:
        shop_id = next(iter(house.shops))
        key = await home.owner_key(admin_of(house.settings), shop_id)
        console.print(_welcome(house, url, shop_id, key, folder), soft_wrap=True, highlight=False)
        await until_stopped()
        console.print("Stopping; what was answered is kept.")


def _welcome(house: House, url: str, shop_id: str, key: str, folder: Path) -> str:
    bus = f"Kafka at {house.settings.kafka}" if house.settings.kafka else "PostgreSQL"
    return "\n".join(
        (
            "Regulars is up. Ctrl-C stops it; started again, it goes on where it was.",
            f"  API and its documentation      {url}/docs",
            f"  Messages that would have left  {url}/mailbox?key={key}",
            f"  Metrics and health             {url}/metrics  {url}/health/ready",
            f"  {f'API key of shop {shop_id}':30} {key}",
            f"  Bus                            {bus}",
            f"  Data                           {folder}",
        )
    )
