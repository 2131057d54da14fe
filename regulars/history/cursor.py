"""How far an import came, written down, so that it goes on there."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from regulars.home import write_closed

ID_CHARS = 16


class Cursor:
    """How far an import came: a small file, tied to every byte of what is imported, up to when, and into what.

    `content` is what is imported, or what it follows from. `id` names the import, the same wherever it goes; `target`
    is the address of a system other than the folder's own.
    """

    def __init__(
        self, folder: Path, name: str, content: Iterable[bytes], until: datetime | None, target: str = ""
    ) -> None:
        what = sha256(f"{name} {until.astimezone(UTC).isoformat() if until else ''}".encode())
        for part in content:
            what.update(part)
        self.id = what.hexdigest()[:ID_CHARS]
        place = f"-{sha256(target.encode()).hexdigest()[:ID_CHARS]}" if target else ""
        self.path = folder / "imports" / f"{name}-{self.id}{place}.json"

    def load(self) -> int:
        """Lines already taken."""
        return int(json.loads(self.path.read_text())["taken"]) if self.path.exists() else 0

    def save(self, taken: int) -> None:
        """Whole or not at all."""
        write_closed(self.path, json.dumps({"taken": taken}).encode())
