"""Which faults strike when: made from a seed and nothing else, so that a run that failed can be run again."""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

SERVICES = ("ingest", "segmentation", "journeys", "loyalty", "notifier")
CONSUMERS = SERVICES[1:]
BROKERS = ("1", "2", "3")
ONE_PROCESS = "up"  # on the PostgreSQL bus
BEGIN, END = 0.04, 0.96  # of the run: the first fault strikes when something is under way, the last one too


class Mode(StrEnum):
    """What is run: five processes on Kafka, or one on PostgreSQL."""

    KAFKA = "kafka"
    ONE_PROCESS = "one-process"


class Kind(StrEnum):
    """What happens. Of a service, a broker and a link the target says which."""

    KILL = "kill"  # SIGKILL of a service, at any moment
    KILL_AFTER_ANSWER = "kill after an answer"  # ... of ingest, as soon as it has said 202
    KILL_RELAYING = "kill while relaying"  # ... of a service whose outbox is not all in Kafka
    PAUSE = "pause"  # SIGSTOP past the session time-out, another takes over, SIGCONT: a zombie
    POSTGRES_KILL = "PostgreSQL killed"  # SIGKILL of all its processes
    POSTGRES_STOP = "PostgreSQL stopped at once"  # immediate stop: SIGQUIT
    POSTGRES_BACKEND = "a backend killed"  # SIGKILL of one connection's: the server throws all out and recovers
    BROKER_KILL = "broker killed"
    TWO_BROKERS = "two brokers killed"  # no majority until the first is back
    BROKER_PAUSE = "broker paused"
    CUT = "link cut"
    STALL = "link stalled"
    CLOSE = "link closed"
    MAIL_DEFERS = "mail server defers"  # 451 to everything
    MAIL_HANGS_UP = "mail server hangs up"  # takes a message and hangs up without an answer: in doubt


KILLS = {
    Kind.KILL: 1,
    Kind.KILL_AFTER_ANSWER: 1,
    Kind.KILL_RELAYING: 1,
    Kind.POSTGRES_KILL: 1,
    Kind.POSTGRES_STOP: 1,
    Kind.POSTGRES_BACKEND: 1,
    Kind.BROKER_KILL: 1,
    Kind.TWO_BROKERS: 2,
}
LINKS = {
    Mode.KAFKA: (
        *(f"database:{name}" for name in SERVICES),
        *(f"kafka:{number}" for number in BROKERS),
        "door",
        "vault",
        "smtp",
    ),
    Mode.ONE_PROCESS: (f"database:{ONE_PROCESS}", "door", "smtp"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Strikes when `at` (0 to 1) of all events are sent, `delay_s` later; what is down comes back after `seconds`."""

    number: int
    at: float
    kind: Kind
    target: str
    seconds: float
    delay_s: float

    def __str__(self) -> str:
        return f"{self.number:3} at {self.at:6.2%}: {self.kind} {self.target} ({self.seconds:.1f} s)"


Draw = Callable[[random.Random], tuple[Kind, str, float]]


def schedule(seed: int, mode: Mode, count: int) -> tuple[Fault, ...]:
    """So many faults, spread evenly with some play. Every eight hold each sort of fault at least once."""
    rng = random.Random(f"{seed}/{mode}")
    drawn = _draws(rng, mode)
    step = (END - BEGIN) / count
    return tuple(
        Fault(number + 1, round(BEGIN + step * (number + rng.random()), 5), *next(drawn), round(rng.uniform(0, 0.4), 3))
        for number in range(count)
    )


def kills(faults: Sequence[Fault]) -> int:
    """How many processes the schedule kills; those that stood in for a paused one come on top."""
    return sum(KILLS.get(fault.kind, 0) for fault in faults)


def _draws(rng: random.Random, mode: Mode) -> Iterator[tuple[Kind, str, float]]:
    """Eight by eight in ever another order: sorts are dealt out, not rolled, so that none is missing."""
    hand: tuple[Draw, ...] = (
        (_service, _ingest, _postgres, _broker, _link, _pause, _service, _mail)
        if mode is Mode.KAFKA
        else (_one, _one_after_answer, _postgres, _postgres, _link_of_one, _one, _pause_one, _mail)
    )
    while True:
        yield from [draw(rng) for draw in rng.sample(hand, len(hand))]


def _service(rng: random.Random) -> tuple[Kind, str, float]:
    kind = rng.choice((Kind.KILL, Kind.KILL_RELAYING))
    return kind, rng.choice(CONSUMERS), _seconds(rng, 0.2, 1.5)


def _ingest(rng: random.Random) -> tuple[Kind, str, float]:
    kind = rng.choice((Kind.KILL, Kind.KILL_AFTER_ANSWER, Kind.KILL_RELAYING))
    return kind, "ingest", _seconds(rng, 0.2, 1.5)


def _one(rng: random.Random) -> tuple[Kind, str, float]:
    return Kind.KILL, ONE_PROCESS, _seconds(rng, 0.1, 1.0)


def _one_after_answer(rng: random.Random) -> tuple[Kind, str, float]:
    return Kind.KILL_AFTER_ANSWER, ONE_PROCESS, _seconds(rng, 0.1, 1.0)


def _postgres(rng: random.Random) -> tuple[Kind, str, float]:
    kind = rng.choice((Kind.POSTGRES_KILL, Kind.POSTGRES_STOP, Kind.POSTGRES_BACKEND))
    return kind, "postgres", _seconds(rng, 0.1, 2.0)


def _broker(rng: random.Random) -> tuple[Kind, str, float]:
    kind = rng.choice((Kind.BROKER_KILL, Kind.BROKER_KILL, Kind.TWO_BROKERS, Kind.BROKER_PAUSE))
    target = "+".join(rng.sample(BROKERS, 2)) if kind is Kind.TWO_BROKERS else rng.choice(BROKERS)
    return kind, target, _seconds(rng, 1.0, 4.0)


def _link(rng: random.Random) -> tuple[Kind, str, float]:
    return _on_a_link(rng, Mode.KAFKA)


def _link_of_one(rng: random.Random) -> tuple[Kind, str, float]:
    return _on_a_link(rng, Mode.ONE_PROCESS)


def _on_a_link(rng: random.Random, mode: Mode) -> tuple[Kind, str, float]:
    kind = rng.choice((Kind.CUT, Kind.STALL, Kind.CLOSE))
    return kind, rng.choice(LINKS[mode]), _seconds(rng, 0.3, 4.0)


def _pause(rng: random.Random) -> tuple[Kind, str, float]:
    return Kind.PAUSE, rng.choice(SERVICES), _seconds(rng, 4.5, 6.5)  # the session of the run is over after 3 s


def _pause_one(rng: random.Random) -> tuple[Kind, str, float]:
    return Kind.PAUSE, ONE_PROCESS, _seconds(rng, 1.0, 4.0)


def _mail(rng: random.Random) -> tuple[Kind, str, float]:
    return rng.choice((Kind.MAIL_DEFERS, Kind.MAIL_HANGS_UP)), "smtp", _seconds(rng, 0.5, 2.0)


def _seconds(rng: random.Random, least: float, most: float) -> float:
    return round(rng.uniform(least, most), 2)
