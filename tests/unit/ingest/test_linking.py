"""Who is who, case by case."""

from datetime import UTC, datetime

from ingest.domain.identity import KindRule, Rules
from ingest.domain.linking import Conflict, Linked, Merge, Name, Named, Person, Standing, link
from ingest.people import rules as identity_rules

RULES = identity_rules.load()
AT = datetime(2026, 5, 1, tzinfo=UTC)
EARLIER = datetime(2026, 4, 1, tzinfo=UTC)


def n(text: str) -> Name:
    """`phone:1` is a phone; what stands behind the colon is opaque here."""
    kind, _, value = text.partition(":")
    return Name(kind, value)


def event(subject: str, *names: str, called: str = "") -> Named:
    return Named(subject, tuple(map(n, names)), called or subject or names[0].partition(":")[2], AT)


def linked(
    *events: Named,
    standing: dict[str, str] | None = None,
    people: dict[str, dict[str, int]] | None = None,
    rules: Rules = RULES,
    **more: object,
) -> Linked:
    known = {n(name): Standing(person) for name, person in (standing or {}).items()}
    persons = {id_: Person(kinds, (EARLIER, -1)) for id_, kinds in (people or {}).items()}
    return link(rules, events, known, more.get("into", {}), persons, more.get("apart", ()))  # type: ignore[arg-type]


def merges(outcome: Linked) -> list[tuple[str, str]]:
    return [(merge.gone, merge.into) for merge in outcome.merges]


def test_names_of_one_event_are_one_persons() -> None:
    outcome = linked(event("u1", "phone:1", "anonymous:a"), event("", "anonymous:a"), event("", "phone:1"))
    assert outcome.people == ["u1", "u1", "u1"]
    assert merges(outcome) == []
    assert set(outcome.given) == {n("id:u1"), n("phone:1"), n("anonymous:a")}


def test_a_browser_that_logs_in_joins_the_account() -> None:
    outcome = linked(event("", "anonymous:a"), event("u1", "anonymous:a"))
    assert outcome.merges == [Merge("a", "u1", n("anonymous:a"), 1)]
    assert outcome.people == ["u1", "u1"]  # all of a flush under who lives on


def test_two_accounts_with_one_phone_are_one_who_was_known_first_lives_on() -> None:
    outcome = linked(event("b", "phone:1"), event("a", "phone:1"))
    assert merges(outcome) == [("a", "b")]
    kinds = {"z": {"id": 1, "phone": 1}}
    outcome = linked(event("a", "phone:1"), standing={"phone:1": "z", "id:z": "z"}, people=kinds)
    assert merges(outcome) == [("a", "z")]
    both = {"z": {"id": 1}, "a": {"id": 1}}
    outcome = linked(event("z", "phone:1"), standing={"phone:1": "a", "id:z": "z", "id:a": "a"}, people=both)
    assert merges(outcome) == [("z", "a")]  # at the same time: by id


def test_the_stronger_name_lives_on() -> None:
    strong = {"s": {"card": 1, "phone": 1}}
    known = {"phone:1": "s", "card:c": "s"}
    outcome = linked(event("", "buyer:b", "phone:1", called="b"), standing=known, people=strong)
    assert (outcome.people, merges(outcome)) == (["s"], [])  # a new name of somebody known
    outcome = linked(event("new", "phone:1"), standing=known, people=strong)
    assert merges(outcome) == [("s", "new")]


def test_two_accounts_in_one_browser_stay_two() -> None:
    outcome = linked(event("u1", "anonymous:a"), event("u2", "anonymous:a"), event("", "anonymous:a"))
    assert (outcome.people, merges(outcome), outcome.conflicts) == (["u1", "u2", "u1"], [], [])


def test_an_order_finds_its_customer() -> None:
    outcome = linked(event("u1", "order:o"), event("", "order:o", called="order:x"))
    assert outcome.people == ["u1", "u1"]


def test_who_is_known_by_an_order_alone_joins_whoever_brings_it() -> None:
    parcel = event("", "order:o", called="order:x")
    assert merges(linked(parcel, event("u1", "order:o"))) == [("order:x", "u1")]
    guest = linked(parcel, event("", "order:o", "phone:1", called="p_1"))
    assert (guest.people, merges(guest)) == (["p_1", "p_1"], [("order:x", "p_1")])


def test_an_order_brings_no_two_people_together() -> None:
    outcome = linked(event("u1", "order:o"), event("u2", "order:o"), event("", "order:o", "buyer:b", called="b"))
    assert (outcome.people, merges(outcome)) == (["u1", "u2", "b"], [])


def test_new_contact_data_of_an_order_is_its_customers() -> None:
    outcome = linked(event("", "order:o", "email:typo", called="p_1"), event("", "order:o", "email:e", called="p_2"))
    assert (outcome.people, merges(outcome)) == (["p_1", "p_1"], [])
    assert outcome.given[n("email:e")][0] == "p_1"


def test_an_id_that_somebody_had_before() -> None:
    outcome = linked(event("new", "id:old"))
    assert merges(outcome) == [("old", "new")]
    assert outcome.given[n("id:old")][0] == "old"  # as it was, for an undo
    outcome = linked(event("", "anonymous:a"), event("new", "id:a"))
    assert merges(outcome) == [("a", "new")]


def test_chains_lead_to_who_lives_on() -> None:
    outcome = linked(event("c", "phone:3"), event("b", "phone:2"), event("a", "phone:2"), event("c", "phone:2"))
    assert merges(outcome) == [("a", "b"), ("b", "c")]
    assert outcome.people == ["c", "c", "c", "c"]


def test_a_kind_that_must_not_merge_still_finds() -> None:
    rules = Rules({**RULES.kinds, "phone": KindRule("none")})
    outcome = linked(event("u1", "phone:1"), event("u2", "phone:1"), event("", "phone:1"), rules=rules)
    assert (outcome.people, merges(outcome), outcome.conflicts) == (["u1", "u2", "u1"], [], [])


def test_what_would_bring_too_many_together_is_shared_from_then_on() -> None:
    """A parcel locker's number: the sixth account is one too many."""
    accounts = [event(f"u{number}", "phone:1") for number in range(7)]
    outcome = linked(*accounts, event("", "phone:1", "order:o", called="order:x"), event("", "phone:1", called="p_e"))
    assert merges(outcome) == [(f"u{number}", "u0") for number in range(1, 5)]
    assert outcome.conflicts == [Conflict(n("phone:1"), 5, ("u5", "u0"))]
    assert outcome.people == [*["u0"] * 5, "u5", "u6", "order:x", "p_e"]
    assert outcome.given[n("phone:1")][2]


def test_one_name_too_many_is_shared() -> None:
    full = {"u1": {"id": 1, "phone": 5}}
    outcome = linked(event("u1", "phone:6"), event("u2", "phone:6"), standing={"id:u1": "u1"}, people=full)
    assert (outcome.people, merges(outcome)) == (["u1", "u2"], [])
    assert outcome.given[n("phone:6")] == ("u1", 0, True)
    assert outcome.conflicts == [Conflict(n("phone:6"), 0, ("u1",))]


def test_those_kept_apart_stay_apart() -> None:
    apart = [frozenset(("u1", "u2"))]
    outcome = linked(event("u1", "phone:1"), event("u2", "phone:1"), event("u3", "phone:1"), apart=apart)
    assert merges(outcome) == [("u3", "u1")]
    outcome = linked(event("u3", "phone:1"), event("u1", "phone:1"), event("u2", "phone:1"), apart=apart)
    assert merges(outcome) == [("u1", "u3")]  # nor by way of who is one with the other


def test_who_was_merged_is_who_lives_on() -> None:
    outcome = linked(event("u1", "phone:2"), into={"u1": "u0"}, standing={"id:u1": "u0"}, people={"u0": {"id": 2}})
    assert (outcome.people, merges(outcome), outcome.given[n("phone:2")][0]) == (["u0"], [], "u0")
    outcome = linked(event("u1", "phone:2"), into={"u1": "u0"}, people={"u0": {"id": 1}})
    assert (outcome.people, outcome.given[n("id:u1")][0]) == (["u0"], "u1")  # an undo gives it back
