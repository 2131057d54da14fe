"""Reads the Dockerfile: its stages, and what the last of them gives to a container."""

import json
import re
import shlex
from functools import lru_cache
from typing import Any, NamedTuple

from tests.deploy.tools import ROOT

DOCKERFILE = ROOT / "Dockerfile"


class Instruction(NamedTuple):
    """One instruction, its lines joined."""

    name: str
    rest: str


class Stage(NamedTuple):
    """`FROM image AS name` and what follows."""

    name: str
    image: str
    instructions: tuple[Instruction, ...]

    def all(self, name: str) -> list[str]:
        """What is said by all instructions of that name."""
        return [instruction.rest for instruction in self.instructions if instruction.name == name]

    def only(self, name: str) -> str:
        """What is said by the one instruction of that name."""
        (rest,) = self.all(name)
        return rest

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets to fixed values."""
        pairs = (pair.partition("=") for rest in self.all("ENV") for pair in shlex.split(rest))
        return {name: value for name, _, value in pairs if "$" not in value}

    @property
    def health_command(self) -> list[str]:
        """The command that asks a container how it is."""
        return _list(self.only("HEALTHCHECK").partition(" CMD ")[2])


def _list(text: str) -> list[str]:
    words: Any = json.loads(text)
    assert isinstance(words, list)
    return words


@lru_cache(maxsize=1)
def stages() -> tuple[Stage, ...]:
    """All stages, in order; the last is what runs."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    instructions = [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]
    begins = [index for index, instruction in enumerate(instructions) if instruction.name == "FROM"]
    found = []
    for begin, end in zip(begins, [*begins[1:], len(instructions)], strict=True):
        image, _, name = instructions[begin].rest.partition(" AS ")
        found.append(Stage(name, image, tuple(instructions[begin + 1 : end])))
    return tuple(found)
