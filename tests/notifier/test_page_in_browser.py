"""The mailbox page in a real browser: the link with a key opens it, the key leaves the address bar, nothing runs."""

import asyncio
import os
import shutil
from pathlib import Path

import asyncpg
import pytest

from common.house import build_house, running
from common.settings import load_settings
from common.web.auth import create_key
from notifier.app import open_service
from tests.notifier.conftest import INTERNAL_KEY

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# Nothing but our page: a browser that asks its maker for updates waits for answers that may never come.
QUIET = ("--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--disable-quic")  # fmt: skip
BROWSER_TIMEOUT_S = 60
HOSTILE = "<script>document.title = 'taken over'</script><img src=x onerror=\"document.title='taken over'\">"
LETTER = """
INSERT INTO notifier.mailbox (shop_id, message_key, customer_id, channel, to_masked, subject, body, at)
VALUES ('demo', 'a:b:c', 'c1', 'email', 'l***@example.com', $1, '您的订单已发货' || $1, now())
"""


def browser() -> str:
    """Where a browser is; a person may lack one, CI must not."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        reason = f"NOT TESTED IN A BROWSER: none of {', '.join(BROWSERS)} is here (Debian: apt-get install chromium)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


async def page(url: str, folder: Path) -> str:
    """The document as it stands in the browser once everything on it has loaded."""
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    arguments = (*QUIET, *sandbox, f"--user-data-dir={folder}", "--dump-dom", url)
    process = await asyncio.create_subprocess_exec(
        browser(), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(BROWSER_TIMEOUT_S):
        document, _ = await process.communicate()
    return document.decode()


async def test_the_mailbox_in_a_browser(fresh_database: str, tmp_path: Path) -> None:
    database = fresh_database.replace("postgres@", "", 1)
    settings = load_settings(database=database, admin_database=fresh_database, port=0, internal_key=INTERNAL_KEY)
    admin = await asyncpg.connect(fresh_database)
    key = await create_key(admin, "demo", ("read",))
    await admin.execute(LETTER, HOSTILE)
    await admin.close()
    async with running(build_house(settings), [open_service], "Notifier") as url:
        shown = await page(f"{url}/mailbox?key={key}", tmp_path / "with-key")
        assert "您的订单已发货" in shown
        assert "l***@example.com" in shown
        assert "taken over</title>" not in shown, "what a letter holds was run"
        assert "&lt;script&gt;" in shown
        assert key not in shown
        asked = await page(f"{url}/mailbox", tmp_path / "without-key")
        assert "<form" in asked
        assert "您的订单已发货" not in asked
