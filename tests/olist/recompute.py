"""What the shop must answer on the Olist files: every rule read anew as a question to the whole history, no event loop.

The services reach their answers event by event; this room reaches them with set queries over the files, and shares no
code with them, so that a mistake would have to be made twice, in two different shapes, to go unseen.

    python -m tests.olist.recompute DIR --at 2018-09-01T00:00:00-03:00 [--orders N] [--json F] [--customers F.csv]
"""

import argparse
import csv
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

SHOP_ZONE = ZoneInfo("America/Sao_Paulo")
LIFECYCLES = ("new", "repeat", "loyal")
ACTIVITIES = ("active", "stimulate", "winback", "lost")
STANDINGS = ("prospect", *(f"{lifecycle}/{activity}" for lifecycle in LIFECYCLES for activity in ACTIVITIES))
TIERS = ("ordinary", "silver", "gold", "diamond")
MESSAGES = ("payment_reminder/5m", "payment_reminder/1h", "payment_reminder/24h", "dispatch_notice", "gift_30d")


@dataclass(frozen=True, slots=True)
class Customer:
    """One person at the moment asked for; the fields in this order are the columns of the CSV."""

    id: str
    purchases: int
    first_purchase: datetime | None
    last_purchase: datetime | None
    monetary_minor: int
    lifecycle: str
    activity: str | None
    points: int
    tier: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The shop at one moment: its customers by id, its loyalty accounts, its messages by step and shop month."""

    at: datetime
    customers: dict[str, Customer]
    accounts: int
    messages: dict[str, dict[str, int]]

    def summary(self) -> dict[str, Any]:
        people = self.customers.values()
        standings = Counter("/".join(filter(None, (who.lifecycle, who.activity))) for who in people)
        tiers = Counter(who.tier for who in people)
        return {
            "at": self.at.isoformat(),
            "customers": len(people),
            "lifecycle": {standing: standings[standing] for standing in STANDINGS},
            "points": {"total": sum(who.points for who in people), "accounts": self.accounts},
            "tiers": {tier: tiers[tier] for tier in TIERS},
            "messages": self.messages,
        }


# The columns the rules speak of. The dialect is stated, not guessed; review texts hold commas, quotes and line breaks.
FILES = {
    "customer_rows": ("olist_customers_dataset.csv", "customer_id, customer_unique_id"),
    "order_rows": (
        "olist_orders_dataset.csv",
        """order_id, customer_id, order_status, order_purchase_timestamp, order_approved_at,
        order_delivered_carrier_date, order_delivered_customer_date""",
    ),
    "payment_rows": ("olist_order_payments_dataset.csv", "order_id, payment_value"),
    "review_rows": ("olist_order_reviews_dataset.csv", "order_id, review_answer_timestamp"),
}
READ = """
    CREATE TABLE {table} AS SELECT {columns}
    FROM read_csv($path, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', parallel = false)
"""

# Whole customers in ascending order of id: one is taken while those before have fewer than the orders asked for.
TAKE = """
    CREATE TABLE taken AS
    WITH owned AS (
        SELECT customer_unique_id AS customer, order_rows.*
        FROM order_rows LEFT JOIN customer_rows USING (customer_id)
    ), counted AS (
        SELECT customer, count(*) AS orders FROM owned GROUP BY customer
    ), placed_in_line AS (
        SELECT customer, sum(orders) OVER (ORDER BY customer) - orders AS orders_before FROM counted
    )
    SELECT owned.* FROM owned JOIN placed_in_line USING (customer)
    WHERE $orders IS NULL OR orders_before < $orders
"""

# The distinct wall-clock texts of what was taken, for the zone database to read. A review without one never happened.
LOCAL_TIMES = """
    SELECT order_purchase_timestamp AS local FROM taken
    UNION SELECT order_approved_at FROM taken
    UNION SELECT order_delivered_carrier_date FROM taken
    UNION SELECT order_delivered_customer_date FROM taken
    UNION SELECT review_answer_timestamp FROM review_rows SEMI JOIN taken USING (order_id)
"""

# Columns named TIMESTAMP hold UTC throughout, so that an interval of days is always whole times 24 hours.
MOMENTS = "CREATE TABLE moments AS SELECT unnest($locals::VARCHAR[]) AS local, unnest($utcs::TIMESTAMP[]) AS utc"
TO_UTC = "CREATE MACRO to_utc(text) AS (SELECT utc FROM moments WHERE local = text)"
UP_TO = "CREATE MACRO up_to(stop, moment) AS CASE WHEN moment <= stop THEN moment END"
CENTAVOS = r"""
    CREATE MACRO centavos(text) AS CASE WHEN regexp_full_match(text, '\d+(\.\d{1,2})?')
        THEN (text::DECIMAL(18, 2) * 100)::BIGINT ELSE error('not an amount: ' || text) END
"""

# One row per order with the times of its events: what is later than the moment asked for has not happened (NULL). The
# cancellation has no time of its own; it takes the latest of the others before any of those is hidden. The constraints
# say what the rules lean on: one row per order, a person and a time of purchase for each.
ORDERS = """
    CREATE TABLE orders (
        id VARCHAR PRIMARY KEY, customer VARCHAR NOT NULL, amount_minor BIGINT NOT NULL, has_happened BOOLEAN NOT NULL,
        placed TIMESTAMP, paid TIMESTAMP, dispatched TIMESTAMP, completed TIMESTAMP, cancelled TIMESTAMP
    );
    INSERT INTO orders
    WITH amounts AS (
        SELECT order_id, sum(centavos(payment_value))::BIGINT AS amount_minor FROM payment_rows GROUP BY order_id
    ), reviews AS (
        SELECT order_id, min(to_utc(review_answer_timestamp)) AS reviewed
        FROM review_rows SEMI JOIN taken USING (order_id) GROUP BY order_id
    ), known AS (
        SELECT
            order_id, customer, order_status, coalesce(amount_minor, 0) AS amount_minor, reviewed,
            to_utc(order_purchase_timestamp) AS placed,
            to_utc(order_approved_at) AS paid,
            to_utc(order_delivered_carrier_date) AS dispatched,
            to_utc(order_delivered_customer_date) AS delivered
        FROM taken LEFT JOIN amounts USING (order_id) LEFT JOIN reviews USING (order_id)
    ), history AS (
        SELECT
            *,
            CASE WHEN order_status = 'delivered' THEN delivered END AS completed,
            CASE WHEN order_status IN ('canceled', 'unavailable')
                THEN list_max([placed, paid, dispatched, delivered]) END AS cancelled
        FROM known
    )
    SELECT
        order_id, customer, amount_minor, list_min([placed, paid, dispatched, delivered, reviewed]) <= $at,
        up_to($at, placed), up_to($at, paid), up_to($at, dispatched), up_to($at, completed), up_to($at, cancelled)
    FROM history
"""

# A tier rises at once and falls only at a quarter's review, so it is what the highest of these spends gives: the one at
# the last review (which counts a completion of the same instant) and those at the completions since.
SPENDS = """
    CREATE TABLE spends AS
    WITH completions AS (
        SELECT customer, completed, amount_minor FROM orders WHERE completed IS NOT NULL
    ), weighings AS (
        SELECT customer, $review AS instant FROM completions
        UNION
        SELECT customer, completed FROM completions WHERE completed > $review
    ), windows AS (
        SELECT customer, instant, sum(amount_minor) AS spend_minor
        FROM weighings JOIN completions USING (customer)
        WHERE completed > instant - INTERVAL 365 DAY AND completed <= instant
        GROUP BY customer, instant
    )
    SELECT customer, max(spend_minor) AS best_minor FROM windows GROUP BY customer
"""

# Everyone of whom anything is known. A purchase is a paid order that was not cancelled; its time is the payment's.
CUSTOMERS = """
    WITH people AS (
        SELECT
            customer,
            count(*) FILTER (is_purchase) AS purchases,
            min(paid) FILTER (is_purchase) AS first_purchase,
            max(paid) FILTER (is_purchase) AS last_purchase,
            coalesce(sum(amount_minor) FILTER (is_purchase), 0)::BIGINT AS monetary_minor,
            coalesce(sum(amount_minor // 100) FILTER (completed IS NOT NULL), 0)::BIGINT AS points,
            count(completed) > 0 AS has_account
        FROM (SELECT *, paid IS NOT NULL AND cancelled IS NULL AS is_purchase FROM orders WHERE has_happened)
        GROUP BY customer
    )
    SELECT
        customer, purchases, first_purchase, last_purchase, monetary_minor,
        CASE purchases WHEN 0 THEN 'prospect' WHEN 1 THEN 'new' WHEN 2 THEN 'repeat' ELSE 'loyal' END,
        CASE
            WHEN purchases = 0 THEN NULL
            WHEN $at < last_purchase + INTERVAL 15 DAY THEN 'active'
            WHEN $at < last_purchase + INTERVAL 60 DAY THEN 'stimulate'
            WHEN $at < last_purchase + INTERVAL 180 DAY THEN 'winback'
            ELSE 'lost'
        END,
        points,
        CASE
            WHEN best_minor >= 500000 THEN 'diamond'
            WHEN best_minor >= 200000 THEN 'gold'
            WHEN best_minor >= 50000 THEN 'silver'
            ELSE 'ordinary'
        END,
        has_account
    FROM people LEFT JOIN spends USING (customer)
    ORDER BY customer
"""

# Every message with its moment. What happens at the very moment still counts: an event goes before an alarm. The next
# payment is the next in the customer's own order of events, where equal times go by order id.
SENT = """
    WITH waits(step, wait) AS (
        VALUES ('5m', INTERVAL 5 MINUTE), ('1h', INTERVAL 1 HOUR), ('24h', INTERVAL 24 HOUR)
    ), reminders AS (
        SELECT 'payment_reminder/' || step AS message, placed + wait AS moment
        FROM orders CROSS JOIN waits
        WHERE (paid IS NULL OR paid > moment) AND (cancelled IS NULL OR cancelled > moment)
    ), notices AS (
        SELECT 'dispatch_notice', dispatched FROM orders
    ), payments AS (
        SELECT paid, cancelled, lead(paid) OVER (PARTITION BY customer ORDER BY paid, id) AS next_paid
        FROM orders WHERE paid IS NOT NULL
    ), gifts AS (
        SELECT 'gift_30d', paid + INTERVAL 30 DAY AS moment
        FROM payments
        WHERE (next_paid IS NULL OR next_paid > moment) AND (cancelled IS NULL OR cancelled > moment)
    )
    SELECT message, moment FROM (FROM reminders UNION ALL FROM notices UNION ALL FROM gifts) WHERE moment <= $at
"""


def recompute(folder: Path, at: datetime, orders: int | None = None) -> Answer:
    """The shop at `at` (which must carry its zone); `orders` takes the first whole customers that have so many."""
    stop = _naive_utc(at)
    with duckdb.connect() as db:
        for table, (file, columns) in FILES.items():
            db.execute(READ.format(table=table, columns=columns), {"path": str(folder / file)})
        db.execute(TAKE, {"orders": orders})
        local_times = [local for (local,) in db.execute(LOCAL_TIMES).fetchall() if local is not None]
        db.execute(MOMENTS, {"locals": local_times, "utcs": [_read_local(local) for local in local_times]})
        for macro in (TO_UTC, UP_TO, CENTAVOS):
            db.execute(macro)
        db.execute(ORDERS, {"at": stop})
        db.execute(SPENDS, {"review": _last_review(at)})
        people = db.execute(CUSTOMERS, {"at": stop}).fetchall()
        sent = db.execute(SENT, {"at": stop}).fetchall()
    return Answer(
        at=at,
        customers={row[0]: _customer(row[:-1]) for row in people},
        accounts=sum(has_account for *_, has_account in people),
        messages=_by_month(sent),
    )


def _read_local(text: str) -> datetime:
    # fold stays 0: of an hour that comes twice the first, and an hour that never comes by the offset before the jump.
    return _naive_utc(datetime.fromisoformat(text).replace(tzinfo=SHOP_ZONE))


def _naive_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {moment.isoformat()}")
    return moment.astimezone(UTC).replace(tzinfo=None)


def _last_review(at: datetime) -> datetime:
    """The start of the shop's quarter that holds `at`; a review at `at` itself has been held."""
    local = at.astimezone(SHOP_ZONE)
    return _naive_utc(datetime(local.year, (local.month - 1) // 3 * 3 + 1, 1, tzinfo=SHOP_ZONE))


def _customer(row: Sequence[Any]) -> Customer:
    values: list[Any] = [value.replace(tzinfo=UTC) if isinstance(value, datetime) else value for value in row]
    return Customer(*values)


def _by_month(sent: list[tuple[str, datetime]]) -> dict[str, dict[str, int]]:
    months = Counter((step, f"{moment.replace(tzinfo=UTC).astimezone(SHOP_ZONE):%Y-%m}") for step, moment in sent)
    return {step: {month: n for (of, month), n in sorted(months.items()) if of == step} for step in MESSAGES}


def write_customers(path: Path, customers: dict[str, Customer]) -> None:
    """One line per customer, times in UTC with a Z, nothing where there is none."""
    with path.open("w", newline="", encoding="utf-8") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(field.name for field in fields(Customer))
        for who in customers.values():
            lines.writerow(_cell(value) for value in asdict(who).values())


def _cell(value: object) -> object:
    return value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Recompute what the shop must answer on the Olist files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--at", type=datetime.fromisoformat, required=True, help="moment with its offset, ISO 8601")
    parser.add_argument("--orders", type=int, help="take the first whole customers that have so many orders")
    parser.add_argument("--json", type=Path, help="write the summary here too")
    parser.add_argument("--customers", type=Path, help="write one CSV line per customer here")
    asked = parser.parse_args(arguments)
    answer = recompute(asked.folder, asked.at, asked.orders)
    text = json.dumps(answer.summary(), indent=2) + "\n"
    sys.stdout.write(text)
    if asked.json:
        asked.json.write_text(text, encoding="utf-8")
    if asked.customers:
        write_customers(asked.customers, answer.customers)


if __name__ == "__main__":
    main()
