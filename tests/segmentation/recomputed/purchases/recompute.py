"""What the models must say, as set queries over a shop's raw files. Shares no code with the service.

A shop is a table `bought` of its purchases: customer, id, bought_at, gone (when it was cancelled, if it was), amount
in minor units, categories. `asked` holds the customers with the instants that they are asked about; times are UTC
without a zone, so that an interval of days is always whole times 24 hours.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import duckdb

from tests.data_sets import file_of

Row = dict[str, Any]
Asked = tuple[str, datetime]  # customer, instant

SHOP = """CREATE TABLE bought (customer VARCHAR NOT NULL, id VARCHAR PRIMARY KEY, bought_at TIMESTAMP NOT NULL,
    gone TIMESTAMP, amount BIGINT NOT NULL, categories VARCHAR[] NOT NULL)"""
READ = "read_csv($path, header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', parallel = false)"

CDNOW = """INSERT INTO bought
    SELECT column1, column1 || ':' || column2, strptime(column2, '%Y%m%d'), NULL,
        sum((column4::DECIMAL(18, 2) * 100)::BIGINT), []
    FROM (SELECT unnest(regexp_extract(line, '^ *(\\d+) +(\\d+) +(\\d+) +(\\d+) +([0-9.]+)',
        ['column0', 'column1', 'column2', 'column3', 'column4']))
        FROM read_csv($path, header = false, delim = '\t', columns = {'line': 'VARCHAR'}))
    GROUP BY ALL"""

# An invoice is worth its lines, of which some have prices of tenths of a penny: they are rounded together.
ONLINE_RETAIL = f"""INSERT INTO bought
    SELECT any_value(CustomerID[:-3]), InvoiceNo, min(utc), NULL,
        round(sum(Quantity::INTEGER * UnitPrice::DECIMAL(18, 3)) * 100)::BIGINT, []
    FROM {READ} JOIN moments ON local = InvoiceDate
    WHERE CustomerID IS NOT NULL AND NOT starts_with(InvoiceNo, 'C') GROUP BY InvoiceNo"""

# Repeats of a purchase are one, of the first revenue that is told.
GA_MERCH_STORE = f"""INSERT INTO bought
    SELECT any_value(visitor_id), transaction_id, epoch_ms(min(event_epoch_ms::BIGINT)), NULL,
        coalesce(round(arg_min(transaction_revenue_usd::DECIMAL(18, 2), event_epoch_ms::BIGINT)
            FILTER (transaction_revenue_usd IS NOT NULL) * 100), 0)::BIGINT, []
    FROM {READ} WHERE action = 'purchase' GROUP BY transaction_id"""

TAOBAO = """INSERT INTO bought
    SELECT user_id, user_id || ':' || item || ':' || second, epoch_ms(second * 1000), NULL, 0, [any_value(category)]
    FROM read_csv($path, header = false, columns = {'user_id': 'VARCHAR', 'item': 'VARCHAR', 'category': 'VARCHAR',
        'behaviour': 'VARCHAR', 'second': 'BIGINT'})
    WHERE behaviour = 'buy' AND epoch_ms(second * 1000) >= TIMESTAMP '2017-11-24 16:00:00'
        AND epoch_ms(second * 1000) < TIMESTAMP '2017-12-03 16:00:00'
    GROUP BY user_id, item, second"""

OLIST = """INSERT INTO bought
    WITH amounts AS (
        SELECT order_id, sum((payment_value::DECIMAL(18, 2) * 100)::BIGINT)::BIGINT AS amount FROM payments
        GROUP BY order_id
    ), known AS (
        SELECT orders.*, customer_unique_id, coalesce(amount, 0) AS amount, placed.utc AS placed, paid.utc AS paid,
            list_max([placed.utc, paid.utc, carried.utc, delivered.utc]) AS latest
        FROM orders JOIN customers USING (customer_id) LEFT JOIN amounts USING (order_id)
        LEFT JOIN moments placed ON placed.local = order_purchase_timestamp
        LEFT JOIN moments paid ON paid.local = order_approved_at
        LEFT JOIN moments carried ON carried.local = order_delivered_carrier_date
        LEFT JOIN moments delivered ON delivered.local = order_delivered_customer_date
    )
    SELECT customer_unique_id, order_id, paid,
        CASE WHEN order_status IN ('canceled', 'unavailable') THEN latest END, amount, []
    FROM known WHERE paid IS NOT NULL"""

PURCHASES = """CREATE OR REPLACE TABLE purchases AS
    SELECT asked.customer, now, bought_at, id, amount, categories
    FROM asked LEFT JOIN bought ON bought.customer = asked.customer AND bought_at <= now
        AND (gone IS NULL OR gone > now)"""

FIGURES = """
    SELECT customer, now, count(id) AS n, min(bought_at) AS first_at, max(bought_at) AS last_at,
        sum(amount)::BIGINT AS amount, sum(amount) FILTER (bought_at > now - to_days($grade_days))::BIGINT AS spent
    FROM purchases GROUP BY customer, now"""

# Days are whole: (now - last) / 86,400 s rounded down.
MODELS = f"""
    WITH figures AS ({FIGURES}), cycles AS (
        SELECT customer, now, category, max(bought_at) AS last_at,
            coalesce(cycle.days, $cycle_days) AS days
        FROM (SELECT customer, now, bought_at,
            unnest(CASE len(categories) WHEN 0 THEN [''] ELSE categories END) AS category
            FROM purchases WHERE id IS NOT NULL)
        LEFT JOIN cycle USING (category) GROUP BY customer, now, category, days
    ), states AS (
        SELECT customer, now, list(DISTINCT CASE
            WHEN now < last_at + to_days(days::INTEGER) THEN 'fresh'
            WHEN now < last_at + to_days((days * $cycles)::INTEGER) THEN 'due' ELSE 'dormant' END) AS states
        FROM cycles GROUP BY customer, now
    )
    SELECT customer, now, n, first_at, last_at, amount,
        CASE n WHEN 0 THEN 'prospect' WHEN 1 THEN 'new' WHEN 2 THEN 'repeat' ELSE 'loyal' END AS lifecycle,
        CASE WHEN n = 0 THEN NULL WHEN now < last_at + INTERVAL 15 DAY THEN 'active'
            WHEN now < last_at + INTERVAL 60 DAY THEN 'stimulate' WHEN now < last_at + INTERVAL 180 DAY THEN 'winback'
            ELSE 'lost' END AS activity,
        CASE WHEN n = 0 THEN NULL WHEN now < last_at + INTERVAL 15 DAY THEN 4
            WHEN now < last_at + INTERVAL 60 DAY THEN 3 WHEN now < last_at + INTERVAL 180 DAY THEN 2
            ELSE 1 END AS "rfm_fixed.r",
        CASE WHEN n = 0 THEN NULL ELSE least(n, 3) END AS "rfm_fixed.f",
        CASE WHEN n = 0 THEN NULL WHEN amount < $order_mid * n THEN 1 WHEN amount <= $order_high * n THEN 2
            ELSE 3 END AS "rfm_fixed.m",
        CASE WHEN spent >= $grade_high THEN 'high' WHEN spent >= $grade_mid THEN 'mid' ELSE 'low' END AS value_grade,
        CASE WHEN n = 0 THEN 'novice' WHEN now >= last_at + INTERVAL 180 DAY THEN 'decline'
            WHEN n >= 5 AND now >= first_at + INTERVAL 180 DAY THEN 'mature' WHEN n >= 2 THEN 'growth'
            ELSE 'novice' END AS stage,
        CASE WHEN list_contains(states, 'due') THEN 'due' WHEN list_contains(states, 'fresh') THEN 'fresh'
            WHEN list_contains(states, 'dormant') THEN 'dormant' END AS product_cycle
    FROM figures LEFT JOIN states USING (customer, now)"""

# Of everybody asked about: the edges of qcut, by linear interpolation; of frequency, the first who stand behind them by
# orders and then by id.
EDGES = f"""
    WITH buyers AS (
        SELECT customer, n, amount, floor(epoch(now - last_at) / 86400) AS days FROM ({FIGURES}) WHERE n > 0
    ), ranked AS (
        SELECT n, customer, row_number() OVER (ORDER BY n, customer) AS rank, count(*) OVER () AS size FROM buyers
    )
    SELECT quantile_cont(days, [0.2, 0.4, 0.6, 0.8]), quantile_cont(amount::DOUBLE, [0.2, 0.4, 0.6, 0.8]),
        (SELECT list(first ORDER BY part) FROM (
            SELECT part, min({{'n': n, 'customer': customer}}) AS first FROM ranked, range(1, 5) AS parts(part)
            WHERE rank > 1 + (size - 1) * part / 5.0 GROUP BY part))
    FROM buyers"""

FILES = {
    "cdnow": ("CDNOW_sample.txt", CDNOW),
    "online_retail": ("online_retail.csv", ONLINE_RETAIL),
    "ga_merch_store": ("commerce_events.csv", GA_MERCH_STORE),
    "taobao_userbehavior": ("UserBehavior_first100k.csv", TAOBAO),
}
OLIST_TABLES = {"orders": "orders", "customers": "customers", "payments": "order_payments"}
OLIST_TIMES = ("purchase_timestamp", "approved_at", "delivered_carrier_date", "delivered_customer_date")


class Bounds(NamedTuple):
    """The figures of a preset that are not the same in all of them: money in minor units, cycles in days."""

    order_mid: int = 10_000
    order_high: int = 30_000
    grade_mid: int = 50_000
    grade_high: int = 200_000
    grade_days: int = 365
    cycle_days: int = 60
    cycles: int = 2


class Edges(NamedTuple):
    """Of quintiles, four each."""

    days: list[float]
    money: list[float]
    orders: list[tuple[int, str]]

    def scores(self, row: Row) -> dict[str, int]:
        """Of a buyer."""
        days = (row["now"] - row["last_at"]).total_seconds() // 86_400
        return {
            "rfm.r": 5 - sum(days > edge for edge in self.days),
            "rfm.f": 1 + sum((row["n"], row["customer"]) >= edge for edge in self.orders),
            "rfm.m": 1 + sum(row["amount"] > edge for edge in self.money),
        }


class Shop:
    """A data set's purchases, to be asked about."""

    def __init__(self, name: str) -> None:
        self._db = duckdb.connect()
        self._db.execute(SHOP)
        self._db.execute("CREATE TABLE cycle (category VARCHAR, days INTEGER)")
        if name == "olist":
            self._read_olist()
            return
        file, query = FILES[name]
        path = {"path": str(file_of(name, file))}
        if name == "online_retail":
            self._moments(f"SELECT DISTINCT InvoiceDate FROM {READ}", ZoneInfo("Europe/London"), path)
        self._db.execute(query, path)

    def _read_olist(self) -> None:
        for table, part in OLIST_TABLES.items():
            path = {"path": str(file_of("olist", f"olist_{part}_dataset.csv"))}
            self._db.execute(f"CREATE TABLE {table} AS SELECT * FROM {READ}", path)
        times = " UNION ".join(f"SELECT order_{column} FROM orders" for column in OLIST_TIMES)
        self._moments(times, ZoneInfo("America/Sao_Paulo"))
        self._db.execute(OLIST)

    def _moments(self, query: str, zone: ZoneInfo, parameters: Mapping[str, str] | None = None) -> None:
        """The wall-clock texts in UTC: of an hour that comes twice the first."""
        texts = [text for (text,) in self._db.execute(query, parameters).fetchall() if text is not None]
        utc = [naive(datetime.fromisoformat(text).replace(tzinfo=zone)) for text in texts]
        self._db.execute(
            "CREATE TABLE moments AS SELECT unnest($1::VARCHAR[]) AS local, unnest($2::TIMESTAMP[]) AS utc",
            [texts, utc],
        )

    def called(self, names: Mapping[str, str]) -> None:
        """From now on customers are called otherwise; who has no name here is left out."""
        self._db.execute(
            "CREATE TABLE names AS SELECT unnest($1::VARCHAR[]) AS customer, unnest($2::VARCHAR[]) AS name",
            [list(names), list(names.values())],
        )
        self._db.execute("DELETE FROM bought WHERE customer NOT IN (SELECT customer FROM names)")
        self._db.execute("UPDATE bought SET customer = name FROM names WHERE names.customer = bought.customer")

    def customers(self) -> list[str]:
        """Whoever bought anything, be it cancelled later."""
        return [
            customer for (customer,) in self._db.execute("SELECT DISTINCT customer FROM bought ORDER BY 1").fetchall()
        ]

    def lasts(self, days: Mapping[str, int]) -> None:
        """How long goods of some categories last."""
        self._db.execute("DELETE FROM cycle")
        self._db.execute(
            "INSERT INTO cycle SELECT unnest($1::VARCHAR[]), unnest($2::INTEGER[])", [list(days), list(days.values())]
        )

    def purchases(self) -> list[tuple[str, datetime]]:
        """Customers and when they bought what was never cancelled, oldest first."""
        found = self._db.execute(
            "SELECT customer, bought_at FROM bought WHERE gone IS NULL ORDER BY bought_at, id"
        ).fetchall()
        return [(customer, at) for customer, at in found]

    def ask(self, asked: Collection[Asked], bounds: Bounds) -> dict[Asked, Row]:
        """What the models must say of these customers at these instants."""
        self._ask(asked)
        query = self._db.execute(MODELS, bounds._asdict())
        names = [column[0] for column in query.description or ()]
        rows = [dict(zip(names, row, strict=True)) for row in query.fetchall()]
        return {(row["customer"], row["now"]): row for row in rows}

    def edges(self, at: datetime) -> Edges:
        """Those that part all customers of an instant into fifths."""
        self._ask([(customer, at) for customer in self.customers()])
        found = self._db.execute(EDGES, {"grade_days": 1}).fetchone()
        assert found is not None
        days, money, orders = found
        # Multiples of a fifth: what is smaller is an error of the interpolation.
        return Edges(
            [round(edge, 3) for edge in days],
            [round(edge, 3) for edge in money],
            [(first["n"], first["customer"]) for first in orders],
        )

    def _ask(self, asked: Collection[Asked]) -> None:
        customers, times = [customer for customer, _ in asked], [at for _, at in asked]
        self._db.execute("CREATE OR REPLACE TABLE asked (customer VARCHAR, now TIMESTAMP)")
        self._db.execute(
            "INSERT INTO asked SELECT DISTINCT * FROM (SELECT unnest($1::VARCHAR[]), unnest($2::TIMESTAMP[]))",
            [customers, times],
        )
        self._db.execute(PURCHASES)


def naive(moment: datetime) -> datetime:
    """UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)
