"""What whoever runs the command can mend; anything else is a bug of ours and shows its traceback."""

import asyncpg
import httpx
from aiokafka.errors import KafkaError

from common.settings import SettingsError
from common.shops import ShopsError
from regulars.embedded_postgres import FolderInUse, ServerFailed
from regulars.history.olist import OlistError
from regulars.kafka_broker import KafkaFailed, KafkaUnavailable

MENDABLE = (
    SettingsError,
    ShopsError,
    FolderInUse,
    ServerFailed,
    KafkaFailed,
    KafkaUnavailable,
    OlistError,
    OSError,
    ValueError,
    httpx.HTTPError,
    KafkaError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
)
