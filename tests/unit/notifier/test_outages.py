"""Outages: a way is closed while nothing is answered, for longer each time, and any answer opens it."""

import pytest

from notifier.channels.port import Away, Deferred, Outcome, Refused, Sent
from notifier.outages import Outages


class Watch:
    """A clock that stands still."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_pauses_grow_to_a_minute_and_no_further() -> None:
    watch = Watch()
    outages = Outages(watch)
    pauses = []
    for _ in range(9):
        outages.learn("email", [Away("closed")])
        pauses.append(outages.pause_s(["email", "vault"]))
        assert outages.shut("email")
        watch.now_s += pauses[-1]
        assert not outages.shut("email")
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert outages.why() == "email: closed"  # until something is answered
    assert not outages.shut("vault")


@pytest.mark.parametrize("answer", [Sent(), Refused("no"), Deferred("later")])
def test_any_answer_opens(answer: Outcome) -> None:
    outages = Outages(Watch())
    outages.learn("email", [Away("closed")])
    outages.learn("email", [Away("closed"), answer])
    assert (outages.shut("email"), outages.why()) == (False, None)


def test_doubt_and_silence_tell_nothing() -> None:
    outages = Outages(Watch())
    outages.learn("sms", [Deferred("?", in_doubt=True)])
    outages.learn("sms", [])
    assert outages.why() is None
    outages.learn("email", [Away("closed")])
    outages.learn("email", [Deferred("?", in_doubt=True)])
    assert outages.why() == "email: closed"
