"""The embedded PostgreSQL: a real server out of a wheel, on a folder of its own, for one machine.

It listens on no network, only on a local socket in a closed folder. It survives what a machine does to it:

- we are killed: the server is told to stop (on Linux); whatever still runs at the next start is ended first;
- the server is killed: it is started again at once (see keeper.py) and recovers all that was committed;
- a second process opens the folder: it is refused, by a lock that ends with its holder.
"""

from regulars.embedded_postgres.failed import ServerFailed
from regulars.embedded_postgres.keeper import kept
from regulars.embedded_postgres.lock import FolderInUse
from regulars.embedded_postgres.server import EmbeddedPostgres

__all__ = ["EmbeddedPostgres", "FolderInUse", "ServerFailed", "kept"]
