"""How the embedded server is set, each setting with why; given on its command line, so they hold from any start on."""

from collections.abc import Mapping
from types import MappingProxyType

SETTINGS: Mapping[str, str] = MappingProxyType(
    {
        # Who may come in: only processes of this machine that may pass through the socket's folder.
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": "100",  # five services with small pools; each idle one costs about 2 MB
        # Durable: what was answered with 202 is on the disk.
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        # Sizes for a machine that has other things to do.
        "shared_buffers": "128MB",
        "max_wal_size": "2GB",  # checkpoints come by time, not by amount, during an import
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",  # there is no disk arm to move
        "jit": "off",  # our statements are short; compiling them costs more than it saves
        # One forgotten transaction holds back every reader of every outbox, and all vacuuming: bound them all.
        "idle_in_transaction_session_timeout": "60s",
        "transaction_timeout": "10min",  # a backup (pg_dump) lifts it for itself
        "lock_timeout": "30s",  # longer is no queue but a mistake
        "autovacuum_naptime": "15s",  # timers and outboxes are deleted from all day
        # The same words and times on every machine.
        "timezone": "UTC",
        "log_timezone": "UTC",
        "lc_messages": "C",
        # What a statement did wrong its sender hears and logs; here stays what concerns the server.
        "log_min_messages": "log",
        "log_checkpoints": "off",
    }
)
# For tests: nothing survives a loss of power, everything else is the same.
NOT_DURABLE: Mapping[str, str] = MappingProxyType(
    {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
)
