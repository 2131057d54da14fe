"""YAML with line numbers: a file's text as nodes, and every fault found on the way with its line and path."""

from typing import NamedTuple

import yaml
from msgspec import Struct

MAX_CHARS = 100_000  # of one file
MAX_DEPTH = 30  # of nesting

_SCALARS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "timestamp")}
_INT = "tag:yaml.org,2002:int"
_BOOL = "tag:yaml.org,2002:bool"


class Fault(Struct, frozen=True, order=True):
    """What is wrong with a file, and where: `line` counts from 1, `path` is a JSON path."""

    line: int
    path: str
    reason: str


class Spot(NamedTuple):
    """A place in the file: its node, and the path that leads to it."""

    node: yaml.Node
    path: str

    @property
    def line(self) -> int:
        """Where it begins, counted from 1."""
        return self.node.start_mark.line + 1


class _Loader(yaml.SafeLoader):
    """Composes nodes, within bounds, and without aliases: what a line says stands in that line."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it out
        if self.check_event(yaml.AliasEvent):
            raise yaml.composer.ComposerError(None, None, "aliases are not taken", mark)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH}", mark)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


class Page:
    """A file being read. What is asked of it comes back as None, and its fault is kept, where it is not there."""

    def __init__(self, text: str) -> None:
        self.faults: list[Fault] = []
        self._lines: dict[str, int] = {}  # of the paths below what `tree` was asked for
        self.top = self._compose(text)

    def refuse(self, spot: Spot, reason: str) -> None:
        """Keeps a fault."""
        self.faults.append(Fault(spot.line, spot.path, reason))

    def refuse_below(self, spot: Spot, path: str, reason: str) -> None:
        """Keeps a fault that was found in the `tree` of the spot, at the line of the nearest node known there."""
        nearest = path
        while nearest not in self._lines and len(nearest) > len(spot.path):
            nearest = nearest[: max(nearest.rfind("."), nearest.rfind("["), 0)]
        self.faults.append(Fault(self._lines.get(nearest, spot.line), path, reason))

    def mapping(self, spot: Spot, required: tuple[str, ...], optional: tuple[str, ...] = ()) -> dict[str, Spot]:
        """The known keys that are there; missing, unknown and repeated ones are faults."""
        if not isinstance(spot.node, yaml.MappingNode):
            self.refuse(spot, f"must be a mapping with {', '.join(required)}")
            return {}
        found: dict[str, Spot] = {}
        for key_node, node in spot.node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            at = Spot(key_node, f"{spot.path}.{key}")
            if key not in (*required, *optional):
                self.refuse(at, f"unknown key {key!r}; known are {', '.join((*required, *optional))}")
            elif key in found:
                self.refuse(at, f"{key!r} is there twice")
            else:
                found[key] = Spot(node, at.path)
        for key in required:
            if key not in found:
                self.refuse(spot, f"{key!r} is missing")
        return found

    def items(self, spot: Spot | None, at_most: int) -> list[Spot]:
        """The elements of a list; none where nothing was asked."""
        if spot is None:
            return []
        if not isinstance(spot.node, yaml.SequenceNode) or not spot.node.value:
            self.refuse(spot, "must be a list of one or more")
            return []
        if len(spot.node.value) > at_most:
            self.refuse(spot, f"{len(spot.node.value)} are too many; at most {at_most}")
        return [Spot(node, f"{spot.path}[{n}]") for n, node in enumerate(spot.node.value[:at_most])]

    def word(self, spot: Spot | None) -> str | None:
        """A scalar as it is written: `on` and `24:00` stay what they are."""
        if spot is None:
            return None
        if not isinstance(spot.node, yaml.ScalarNode) or spot.node.tag not in _SCALARS or not spot.node.value:
            self.refuse(spot, "must be a plain value")
            return None
        return str(spot.node.value)

    def tree(self, spot: Spot) -> object:
        """All below as plain values, for who reads another language there; numbers are whole numbers."""
        self._lines[spot.path] = spot.line
        match spot.node:
            case yaml.MappingNode(value=pairs):
                below = ((self.word(Spot(k, spot.path)), v) for k, v in pairs)
                return {key: self.tree(Spot(node, f"{spot.path}.{key}")) for key, node in below if key is not None}
            case yaml.SequenceNode(value=nodes):
                return [self.tree(Spot(node, f"{spot.path}[{n}]")) for n, node in enumerate(nodes)]
            case yaml.ScalarNode(value=text, tag=tag) if tag == _BOOL and text in ("true", "false"):
                return text == "true"
            case yaml.ScalarNode(value=text, tag=tag) if tag == _INT and text.removeprefix("-").isdecimal():
                return int(text)
            case _:
                return self.word(spot)

    def _compose(self, text: str) -> Spot | None:
        if len(text) > MAX_CHARS:
            self.faults.append(Fault(1, "$", f"longer than {MAX_CHARS} characters"))
            return None
        try:
            node = yaml.compose(text, Loader=_Loader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = ", ".join(filter(None, (error.context, error.problem)))
            self.faults.append(Fault(mark.line + 1 if mark else 1, "$", said))
            return None
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            self.faults.append(Fault(line, "$", f"holds a character that is not text: {error.reason}"))
            return None
        if node is None:
            self.faults.append(Fault(1, "$", "is empty"))
            return None
        return Spot(node, "$")
