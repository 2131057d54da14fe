"""Logs: structlog and every library's logger through one handler, with secrets and personal data masked."""

import logging
import re
import sys
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

MASK = "***"
# Whole words of a key: customer_name, apiKey and X-API-Key are masked, filename and context are not.
_SENSITIVE = re.compile(
    r"(?<![a-z])(phone|mobile|e?mail|name|address|text|key|authorization|cookie|password|secret|token)(e?s)?(?![a-z])"
)
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_HARMLESS = ("key_id", "logger_name")


def configure(level: str, format: str) -> None:  # noqa: A002 - named as the setting is
    """Sets up logging for the process, on stderr; `format` is json or console. Safe to call again."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        mask,
    ]
    rendering: list[Processor] = (
        # Plain tracebacks: the rich ones print local variables, and with them what is masked here.
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if format == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    wrap, unwrap = structlog.stdlib.ProcessorFormatter, structlog.stdlib.ProcessorFormatter.remove_processors_meta
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, wrap.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(wrap(foreign_pre_chain=shared, processors=[unwrap, *rendering]))
    logging.root.handlers = [handler]
    logging.root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    # A line per request costs more than the request, and a query may hold anything; the metrics count them.
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # It logs hundreds of lines while a broker starts; what ends a subscription or a relay is raised, and we log that.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncpg.pool").setLevel(logging.ERROR)  # a traceback per try while the database is away


def mask(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Masks the values of keys that look secret or personal, however deep; the message itself is left alone."""
    return {key: MASK if _is_sensitive(str(key)) else _masked(value) for key, value in event.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return mask(None, "", dict(value))
    return [_masked(inner) for inner in value] if isinstance(value, list) else value


@lru_cache(maxsize=1_024)
def _is_sensitive(key: str) -> bool:
    return key not in _HARMLESS and _SENSITIVE.search(_HUMP.sub("_", key).lower()) is not None
