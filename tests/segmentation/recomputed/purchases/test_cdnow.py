"""CDNOW's published summary of 2,357 customers, out of profiles: repeat purchases, recency and T in weeks."""

import csv
from datetime import UTC, date, datetime

from tests.data_sets import file_of
from tests.segmentation.recomputed.purchases.lived import Lives, book, by_customer, mapped

END = datetime(1997, 9, 30, 23, 59, 59, tzinfo=UTC)  # of the 39 weeks; purchases of a day are of 00:00
LAST_DAY = date(1997, 9, 30)
CUSTOMERS = 2_357
DAYS_A_WEEK = 7


def test_every_customer_is_as_published() -> None:
    file = file_of("cdnow", "CDNOW_sample.txt")
    lives = Lives(book("s", "USD", "UTC"), by_customer(mapped(file, "cdnow_sample", "s")))
    wanted: dict[str, tuple[str, ...]] = {}
    with file_of("cdnow", "cdnow_customers_summary.csv").open() as summary:
        for row in csv.DictReader(summary):
            wanted[f"cdnow:{int(row['ID']):04}"] = (row["frequency"], row["recency"], row["T"])
    found: dict[str, tuple[str, ...]] = {}
    for customer_id in wanted:
        days = lives.days(customer_id, END)
        weeks = [(days[-1] - days[0]).days / DAYS_A_WEEK, (LAST_DAY - days[0]).days / DAYS_A_WEEK]
        found[customer_id] = (str(len(days) - 1), *(f"{each:.2f}" for each in weeks))
    equal = [
        name
        for name, row in wanted.items()
        if all(abs(float(a) - float(b)) < 0.0051 for a, b in zip(row, found[name], strict=True))
    ]
    assert (len(equal), len(wanted)) == (CUSTOMERS, CUSTOMERS)
