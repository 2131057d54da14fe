"""The job that peers are given: what it comes to, that ours runs, and that a peer that is missing is told of."""

from collections import Counter

import pytest

from common.contracts.envelope import Decoder, Event
from common.contracts.ingest import OrderPaid
from regulars.bench import counting, peer_environments, peers
from regulars.bench.stage import stage


def test_the_messages_come_to_the_totals() -> None:
    messages, totals = counting.make(1_000, 50)
    decoder = Decoder((OrderPaid,))
    events = [event for message in messages if isinstance(event := decoder.decode(message.body), Event)]
    assert len(events) == 1_000
    counts = Counter(event.customer_id for event in events)
    sums = Counter[str]()
    for event in events:
        assert isinstance(event.data, OrderPaid)
        sums[event.customer_id] += event.data.amount.amount_minor
    assert totals == {customer: (counts[customer], sums[customer]) for customer in counts}
    assert counting.make(1_000, 50) == (messages, totals)


def test_a_peer_that_cannot_be_had_is_told_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("REGULARS_CACHE", str(tmp_path_factory.mktemp("cache")))

    def refuse(command: list[str], deadline_s: float) -> str:
        raise RuntimeError(f"{command[0]} is not to be had in {deadline_s:.0f} s")

    monkeypatch.setattr(peer_environments, "run", refuse)
    assert not peer_environments.provided(peer_environments.PEERS[0])
    assert "NOT MEASURED: peers.quixstreams.exactly_once" in capsys.readouterr().err


def test_other_totals_are_an_error() -> None:
    with pytest.raises(AssertionError, match="faust: 2 of 2 keys"):
        counting.check("faust", {"a": (1, 5), "c": (1, 5)}, {"a": (1, 4), "c": (2, 5)})


@pytest.mark.usefixtures("kafka")
async def test_a_quick_run_without_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", ())
    monkeypatch.setattr(peers, "ROUNDS", 1)
    async with stage(quick=True) as ours:
        measured = await peers.measure(ours)
    assert [figure.name for figure in measured] == ["peers.ours", "peers.segmentation"]
    assert all(figure.value > 0 for figure in measured)
