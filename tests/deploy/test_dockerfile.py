"""The images: linted, pinned, without root, secrets or anything that is not needed to run."""

import fnmatch
import re
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.deploy.dockerfile import DOCKERFILE, stages
from tests.deploy.tools import ROOT, from_packages, run

RUNTIME = stages()[-1]
ROOT_USERS = {"", "0", "root"}


def test_hadolint_has_nothing_to_say() -> None:
    assert run(from_packages("hadolint"), "--no-color", "--failure-threshold", "style", DOCKERFILE) == ""


def test_the_base_is_pinned_to_a_patch_and_a_distribution() -> None:
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", DOCKERFILE.read_text(encoding="utf-8"), re.MULTILINE)
    assert re.fullmatch(r"3\.\d+\.\d+-slim-[a-z]+", python)
    assert {stage.image for stage in stages()} == {"python:${PYTHON}"}
    minor = ".".join(python.split(".")[:2])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: {minor}" in project["classifiers"]


def test_what_is_installed_is_what_the_lock_holds() -> None:
    fetches = [
        rest
        for stage in stages()
        for rest in stage.all("RUN")
        if re.search(r"pip\b[^&]*\b(download|install|wheel)", rest)
    ]
    downloads = [rest for rest in fetches if "pip download" in rest]
    assert len(downloads) == 1
    assert "--require-hashes" in downloads[0]
    assert "--requirement requirements.lock" in downloads[0]
    for rest in fetches:
        if rest not in downloads:
            for part in rest.split("&&"):
                assert "pip" not in part.split() or "--no-index" in part, part


def test_it_does_not_run_as_root() -> None:
    uid, _, gid = RUNTIME.only("USER").partition(":")
    assert uid.isdigit(), "by number: Kubernetes' runAsNonRoot can not tell who a name is"
    assert not {uid, gid} & ROOT_USERS
    assert not RUNTIME.all("ADD")
    for line in RUNTIME.all("COPY"):
        assert "--chown" not in line, "what runs must not be able to change itself"


def test_nothing_secret_is_built_in() -> None:
    said = [stage_rest for stage in stages() for name in ("ARG", "ENV") for stage_rest in stage.all(name)]
    assert not [rest for rest in said if re.search(r"(?i)password|secret|_key|token", rest)]


def test_it_is_told_to_stop_itself_and_not_a_shell() -> None:
    assert RUNTIME.only("STOPSIGNAL") == "SIGTERM"
    shell = RUNTIME.only("CMD")
    assert "exec python -m" in shell
    assert shell.startswith('["')


def test_what_is_copied_is_not_ignored() -> None:
    """Docker takes the last line that matches; a folder that is let in lets in what it holds."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split("\n")
    rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def is_ignored(path: str) -> bool:
        ignored = False
        for rule in rules:
            pattern = rule.removeprefix("!").rstrip("/")
            if any(fnmatch.fnmatch(part, pattern) for part in (path, path.split("/", maxsplit=1)[0])):
                ignored = not rule.startswith("!")
        return ignored

    needed = ["requirements.lock", "pyproject.toml", "LICENSE", "NOTICE", "libs/common", "regulars/cli/__init__.py"]
    needed += [
        f"services/{name}/pyproject.toml" for name in ("ingest", "segmentation", "journeys", "loyalty", "notifier")
    ]
    assert not [path for path in needed if is_ignored(path)]
    assert is_ignored(".env")
    assert is_ignored(".regulars/secrets.json")


class Answers(BaseHTTPRequestHandler):
    """Says how it is, where it is asked for that."""

    status = 200

    def do_GET(self) -> None:
        """Answers."""
        self.send_response(self.status if self.path == "/health/ready" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name for it
        """Nobody listens."""


def ask(port: int) -> int:
    """How the image's health command ends in a container that listens there."""
    python, *rest = RUNTIME.health_command
    assert python == "python"
    environment = {"REGULARS_PORT": str(port)}
    return subprocess.run(
        [sys.executable, *rest], check=False, capture_output=True, env=environment, timeout=30
    ).returncode


@pytest.mark.parametrize(("status", "ends_with"), [(200, 0), (503, 1)])
def test_the_health_command_tells_well_from_ill(status: int, ends_with: int) -> None:
    handler = type("Handler", (Answers,), {"status": status})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert ask(server.server_port) == ends_with
        thread.join()
    assert ask(server.server_port) == 1, "nobody listens there any more"
