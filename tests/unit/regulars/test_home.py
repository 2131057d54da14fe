"""The folder of an installation: who has taken it, whatever process ids say; and what is kept in it, for whom."""

import json
import os
import socket
import stat
from pathlib import Path

import pytest
from msgspec import json as mjson

from common.settings import load_settings
from regulars.embedded_postgres import FolderInUse
from regulars.home import Home, Running, _port, reach

HERE = Running(os.getpid(), "http://127.0.0.1:8000", "postgresql:///regulars", "postgresql://postgres@/regulars")


def test_nobody_runs_on_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert Home(tmp_path / "nowhere").running() is None
    assert not (tmp_path / "nowhere").exists()


def test_who_has_taken_it_is_told_once_it_is_up(tmp_path: Path) -> None:
    home = Home(tmp_path / "shop")
    with home.taken():
        assert home.running() is None
        with pytest.raises(FolderInUse, match=r"shop is in use: Regulars is starting on it$"), home.taken():
            pass
        home.tell(HERE)
        assert home.running() == HERE
        told = rf"shop is in use: Regulars runs on it at http://127\.0\.0\.1:8000 \(process {os.getpid()}\)$"
        with pytest.raises(FolderInUse, match=told), home.taken():
            pass
        assert home.running() == HERE
    assert home.running() is None
    with home.taken():
        assert home.running() is None


def test_the_word_of_one_that_was_killed_counts_for_nothing(tmp_path: Path) -> None:
    """Its process id may be another's by now, or our own: in a container they all begin at 1."""
    home = Home(tmp_path)
    with home.taken():
        pass
    (tmp_path / "running.json").write_bytes(mjson.encode(HERE))
    assert home.running() is None
    with home.taken():
        assert not (tmp_path / "running.json").exists()


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = Home(tmp_path / "shop").secret("vault_key")
    assert Home(tmp_path / "shop").secret("vault_key") == first
    assert Home(tmp_path / "shop").secret("internal_key") != first
    path = tmp_path / "shop" / "secrets.json"
    assert json.loads(path.read_text())["vault_key"] == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_settings(vault_key=first).vault_key is not None, "it has the form that the settings ask for"


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(
            OSError, match=rf"can not listen on 127\.0\.0\.1 port {port}: Address already in use; --port"
        ):
            _port("127.0.0.1", port)
    assert _port("127.0.0.1", port) == port
    assert _port("127.0.0.1", 0) > 0


async def test_a_port_that_is_taken_leaves_nothing_behind(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=rf"can not listen on 127\.0\.0\.1 port {port}"):
            async with Home(tmp_path / "shop").house(host="127.0.0.1", port=port):
                pass
        assert not (tmp_path / "shop").exists()
        home = Home(tmp_path / "taken")
        with home.taken(), pytest.raises(FolderInUse):  # and of one that is in use this is said, not its port
            async with home.house(host="127.0.0.1", port=port):
                pass


async def test_a_database_that_does_not_answer_is_told_by_its_setting() -> None:
    nobody = _port("127.0.0.1", 0)
    with pytest.raises(OSError, match=r"^no database answers at the address in REGULARS_DATABASE: "):
        await reach(load_settings(database=f"postgresql://127.0.0.1:{nobody}/shop"))
