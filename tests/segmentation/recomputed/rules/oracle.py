"""What a rule says of customers at instants, by SQL over all that ever happened: shares no code with the service.

A rule's tree becomes one expression over `probes`: what holds of a customer at an instant, by what was heard up to
another that is not later, so that it can be asked what will be when nothing more happens. Times are microseconds.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb

from tests.segmentation.recomputed.rules.shapes import Shop, Tree

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
US = timedelta(microseconds=1)
FAR = 2**62
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
COMPARED = {"eq": "=", "ne": "<>", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
COLUMNS = {
    **dict.fromkeys(("order", "item", "category", "channel", "journey", "step"), "VARCHAR"),
    **dict.fromkeys(("amount", "pieces", "quantity", "price", "rating", "length"), "BIGINT"),
    **dict.fromkeys(("items", "categories", "topics"), "VARCHAR[]"),
    "photo": "BOOLEAN",
}
COLUMNS_OF_FACTS = {str: "s", int: "n", datetime: "t", tuple: "l"}
TIMES = ("first_seen_at", "last_seen_at", "cart.changed_at")

Probe = tuple[str, datetime, datetime]  # the customer, the instant, and up to when events are heard of


def us(at: datetime) -> int:
    """As the tables have it."""
    return (at - EPOCH) // US


class Oracle:
    """One shop's whole history in tables."""

    def __init__(self, zone: str, shop_id: str = "shop", segments: Mapping[str, Tree] | None = None) -> None:
        self.db = duckdb.connect(config={"threads": 1})
        self.zone, self.shop_id, self.segments = zone, shop_id, segments or {}
        fields = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        self.db.execute(
            "CREATE TABLE events (customer VARCHAR, kind VARCHAR, name VARCHAR, "
            f"moment BIGINT, heard BIGINT, gone BIGINT, {fields})"
        )
        self.db.execute(
            "CREATE TABLE changes "
            "(customer VARCHAR, fact VARCHAR, moment BIGINT, s VARCHAR, n BIGINT, t BIGINT, l VARCHAR[])"
        )
        self.db.execute("CREATE TABLE listed (list VARCHAR, customer VARCHAR)")
        self.db.execute("CREATE TABLE probes (number BIGINT, customer VARCHAR, moment BIGINT, known BIGINT)")
        self.db.execute(
            "CREATE VIEW facts AS SELECT *, "
            f"coalesce(lead(moment) OVER (PARTITION BY customer, fact ORDER BY moment), {FAR}) AS ended FROM changes"
        )

    def fill(self, shop: Shop) -> None:
        """With all that happened."""
        rows = []
        for event in shop.events:
            times = us(event.at), us(event.heard or event.at), FAR if event.gone is None else us(event.gone)
            fields = (_listed(event.about.get(name)) for name in COLUMNS)
            rows.append((event.customer, event.kind, event.name, *times, *fields))
        self._insert("events", rows)
        changes = []
        for change in shop.changes:
            column = COLUMNS_OF_FACTS.get(type(change.value), "s")
            value = us(change.value) if isinstance(change.value, datetime) else _listed(change.value)
            row = {"s": None, "n": None, "t": None, "l": None} | {column: value}
            changes.append((change.customer, change.fact, us(change.at), *row.values()))
        self._insert("changes", changes)
        self._insert("listed", sorted(shop.listed))

    def ask(self, tree: Tree, probes: Sequence[Probe]) -> list[bool]:
        """Whether the rule holds, for each of the probes."""
        self.db.execute("DELETE FROM probes")
        self._insert("probes", [(number, who, us(at), us(known)) for number, (who, at, known) in enumerate(probes)])
        return [
            holds for (holds,) in self.db.execute(f"SELECT {self.sql(tree)} FROM probes p ORDER BY number").fetchall()
        ]

    def _insert(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """In bulk: row by row would take minutes."""
        columns = list(zip(*rows, strict=True))
        if columns:
            many = ", ".join(f"unnest(${number + 1}) " for number in range(len(columns)))
            self.db.execute(f"INSERT INTO {table} SELECT {many}", [list(column) for column in columns])

    # ---- from a tree to an expression that is true or false, never null

    def sql(self, tree: Tree) -> str:
        """The expression over a probe `p`."""
        for kind, joined in (("all", " AND "), ("any", " OR "), ("none", " OR ")):
            if kind in tree:
                inner = joined.join(f"({self.sql(each)})" for each in tree[kind])
                return f"NOT ({inner})" if kind == "none" else inner
        if "segment" in tree:
            return self.sql(self.segments[tree["segment"]])
        if "list" in tree:
            return f"EXISTS (SELECT 1 FROM listed WHERE list = {_text(tree['list'])} AND customer = p.customer)"
        if "bucket" in tree:
            return self._bucket(tree["bucket"])
        if "then_not" in tree:
            return self._then_not(tree["then_not"])
        if "field" in tree:
            return self._fact(tree)
        return self._measure(tree)

    def _bucket(self, asked: Tree) -> str:
        drawn = f"sha256({_text(asked['salt'])} || chr(31) || {_text(self.shop_id)} || chr(31) || p.customer)"
        lot = f"('0x' || substr({drawn}, 1, 16))::UBIGINT % 100"
        return f"{lot} >= {asked.get('from', 0)} AND {lot} < {asked['to']}"

    def _fact(self, asked: Tree) -> str:
        name = asked["field"]
        column = self.db.execute(
            "SELECT CASE WHEN count(l) > 0 THEN 'l' WHEN count(n) > 0 THEN 'n' WHEN count(t) > 0 THEN 't' ELSE 's' END "
            "FROM changes WHERE fact = ?",
            [name],
        ).fetchone()
        assert column is not None
        found = (
            f"(SELECT max(f.{column[0]}) FROM facts f WHERE f.customer = p.customer AND f.fact = {_text(name)} "
            "AND f.moment <= p.moment AND p.moment < f.ended)"
        )
        return _compared(found, asked["op"], asked.get("value", True), is_time=column[0] == "t")

    def _measure(self, tree: Tree) -> str:
        function = next(name for name in ("count", "sum", "average", "distinct", "first", "last") if name in tree)
        of = tree[function]
        kind, _, field = of.rpartition(".") if function in ("sum", "average", "distinct") else (of, "", "")
        among = f"FROM events e WHERE {self._in({'of': kind} | tree)}"
        column = f'e."{field}"'
        value = {
            "count": "SELECT count(*)",
            "sum": f"SELECT coalesce(sum({column}), 0)",
            "average": f"SELECT sum({column}) // count({column})",
            "distinct": f"SELECT count(DISTINCT {column})",
            "first": "SELECT min(e.moment)",
            "last": "SELECT max(e.moment)",
        }[function]
        if function == "distinct" and COLUMNS[field].endswith("[]"):
            value = f"SELECT coalesce(len(list_distinct(flatten(list({column}) FILTER ({column} IS NOT NULL)))), 0)"
        is_time = function in ("first", "last")
        return _compared(f"({value} {among})", tree["op"], tree.get("value", True), is_time=is_time)

    def _in(self, asked: Tree) -> str:
        """That an event `e` is the customer's, of the kind, heard of, in the window and what the filter says."""
        parts = [
            f"e.customer = p.customer AND e.kind = {_text(asked['of'])} AND e.moment <= p.moment",
            "e.heard <= p.known AND p.known < e.gone",
        ]
        parts.append(self._window(asked.get("over")))
        if "where" in asked:
            parts.append(_where("e", asked["where"]))
        return " AND ".join(f"({part})" for part in parts)

    def _window(self, over: Any) -> str:
        match over:
            case None:
                return "TRUE"
            case str():
                return f"e.moment > p.moment - {_length(over)}"
            case {"since": since}:
                return f"e.moment >= {self._instant(since)}"
            case {"between": [since, until]}:
                return f"e.moment >= {self._instant(since)} AND e.moment < {self._instant(until)}"
            case {"calendar": period}:
                local = f"timezone({_text(self.zone)}, make_timestamptz(p.moment))"
                begins = f"timezone({_text(self.zone)}, date_trunc({_text(period)}, {local})::TIMESTAMP)"
                return f"e.moment >= epoch_us({begins})"
            case _:
                raise AssertionError(over)

    def _instant(self, said: str) -> str:
        if len(said) > len("2026-01-31"):
            return str(us(datetime.fromisoformat(said)))
        return f"epoch_us(timezone({_text(self.zone)}, TIMESTAMP {_text(said)}))"

    def _then_not(self, asked: Tree) -> str:
        within, of = _length(asked["within"]), asked["not"]["of"]
        parts = [
            f"b.kind = {_text(of)} AND b.customer = p.customer AND b.heard <= p.known AND p.known < b.gone",
            f"b.moment >= e.moment AND b.moment <= e.moment + {within}",
        ]
        if of == asked["first"]["of"]:
            parts.append("b.name <> e.name")
        if "where" in asked["not"]:
            parts.append(_where("b", asked["not"]["where"]))
        lacking = "TRUE"
        if same := asked.get("same"):
            parts.append(f'b."{same}" = e."{same}"')
            lacking = f'e."{same}" IS NOT NULL'
        then = " AND ".join(f"({part})" for part in parts)
        begun = f"{self._in(asked['first'])} AND e.moment + {within} <= p.moment AND {lacking}"
        return f"EXISTS (SELECT 1 FROM events e WHERE {begun} AND NOT EXISTS (SELECT 1 FROM events b WHERE {then}))"


def _where(alias: str, tree: Tree) -> str:
    for kind, joined in (("all", " AND "), ("any", " OR "), ("none", " OR ")):
        if kind in tree:
            inner = joined.join(f"({_where(alias, each)})" for each in tree[kind])
            return f"NOT ({inner})" if kind == "none" else inner
    return _compared(f'{alias}."{tree["field"]}"', tree["op"], tree.get("value", True))


def _compared(found: str, op: str, value: Any, *, is_time: bool = False) -> str:
    if op == "exists":
        return f"{found} IS {'NOT ' if value else ''}NULL"
    if op in ("older_than", "younger_than"):
        return f"coalesce(p.moment {'>=' if op == 'older_than' else '<'} {found} + {_length(value)}, FALSE)"
    if is_time:
        value = us(datetime.fromisoformat(value))
    if op in ("in", "not_in"):
        values = ", ".join(_literal(each) for each in value)
        return f"coalesce({found} {'NOT ' if op == 'not_in' else ''}IN ({values}), FALSE)"
    if op == "contains":
        return f"coalesce(list_contains({found}, {_literal(value)}), FALSE)"
    if op == "starts_with":
        return f"coalesce(starts_with({found}, {_literal(value)}), FALSE)"
    return f"coalesce({found} {COMPARED[op]} {_literal(value)}, FALSE)"


def _length(said: str) -> int:
    found = re.fullmatch(r"(\d+)([smhd])", said)
    assert found is not None
    return timedelta(**{UNITS[found[2]]: int(found[1])}) // US


def _literal(value: Any) -> str:
    return _text(value) if isinstance(value, str) else str(value).upper()


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
