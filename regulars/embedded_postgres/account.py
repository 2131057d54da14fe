"""Who runs PostgreSQL: we ourselves, or an unprivileged account when we are root, which PostgreSQL refuses to be."""

import logging
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from regulars.embedded_postgres.failed import ServerFailed

log = logging.getLogger(__name__)

# The first that exists on the machine; no account is made, so that trying us out leaves no trace in /etc.
UNPRIVILEGED_ACCOUNTS = ("regulars", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """A user and group id; `borrowed` when it is not our own, so that folders must be handed over to it."""

    uid: int
    gid: int
    borrowed: bool

    def own(self, folder: Path) -> None:
        """Hand an empty folder over to the account, closed to all others."""
        folder.chmod(0o700)
        if self.borrowed:
            os.chown(folder, self.uid, self.gid)

    def let_into(self, folder: Path) -> None:
        """Let the account pass through `folder` and the folders above it.

        Only the right to pass (search) is added, only where it is missing: nobody can list or read more than before.
        """
        for place in (folder, *folder.parents):
            if self._lacks(place, stat.S_IXUSR):
                log.info("letting PostgreSQL's account pass through %s", place)
                self._grant(place, stat.S_IXUSR)

    def let_read(self, tree: Path) -> None:
        """Let the account read and run a tree of programs, which a strict umask at installation closed to it."""
        self.let_into(tree)
        if self._lacks(tree, stat.S_IRUSR):
            log.info("letting PostgreSQL's account read %s", tree)
            for place in (*tree.rglob("*"), tree):  # the tree itself last: it says that all below is done
                self._grant(place, stat.S_IRUSR | (place.stat().st_mode & stat.S_IXUSR))

    def _lacks(self, place: Path, right: int) -> bool:
        """Whether we must grant `right`, written as the owner's bit (S_IRUSR, S_IXUSR)."""
        status = place.stat()
        return self.borrowed and not status.st_mode & (right >> self._shift(status))

    def _grant(self, place: Path, rights: int) -> None:
        status = place.stat()
        place.chmod(stat.S_IMODE(status.st_mode) | (rights >> self._shift(status)))

    def _shift(self, status: os.stat_result) -> int:
        """How far the account's bits of a mode lie from the owner's."""
        if status.st_uid == self.uid:
            return 0
        return 3 if status.st_gid == self.gid else 6


def account_for(data: Path) -> Account:
    """The account that runs the server on `data`: whoever owns it already, else the first that will do."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid(), borrowed=False)
    if data.exists() and data.stat().st_uid != 0:
        return Account(data.stat().st_uid, data.stat().st_gid, borrowed=True)
    for name in UNPRIVILEGED_ACCOUNTS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid, borrowed=True)
    raise ServerFailed(
        "PostgreSQL refuses to run as root, and this machine has none of the accounts "
        f"{', '.join(UNPRIVILEGED_ACCOUNTS)}: make one (useradd --system regulars) or run as another user"
    )
