"""What can go wrong with a broker, and the end of its log, which says why."""

LOG_TAIL_LINES = 20


class KafkaUnavailable(Exception):
    """A broker can't be had on this machine; the message says what is missing and how to get it."""


class KafkaFailed(Exception):
    """A broker was started and didn't serve, or ended by itself; the message carries the last lines of its log."""


def tail(log: bytes) -> str:
    """The last lines without Java's stack frames, among which the reason would drown."""
    lines = [line for line in log.decode(errors="replace").splitlines() if not line.startswith("\t")]
    return "\n".join(lines[-LOG_TAIL_LINES:])
