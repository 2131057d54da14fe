"""An uploaded list: customers' ids out of CSV, NDJSON or JSON, or every fault with its place."""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping

import msgspec

from common.contracts.envelope import Rejection
from common.ids import MAX_ID_CHARS, Id
from segmentation.lists.store import MAX_MEMBERS

COLUMN = "customer_id"
NO_COLUMN = f"has several columns, and its first line does not name {COLUMN!r} among them"
DIVIDERS = {";": "semicolons", "\t": "tabs"}  # of spreadsheets that save no commas
MAX_FAULTS = 20  # told of one upload
TOO_MANY = f"is too long: a list holds at most {MAX_MEMBERS:,} customers"
# As at the door of events: such an id would be personal data outside the vault.
CONTACT = re.compile(r".*@.*|(\+|00)\d{7,15}|(86)?1[3-9]\d{9}")
CONTACT_WORDS = "looks like a phone number or an e-mail address: send your own id"

Read = tuple[str, object]  # the place, and what stands there instead of an id, perhaps


def read(body: bytes, content_type: str) -> tuple[list[str], tuple[Rejection, ...]]:
    """The ids, each once, in their order; and what is wrong. An unknown type is a fault of `$`."""
    reader = READERS.get(content_type.partition(";")[0].strip().lower())
    if reader is None:
        return [], (Rejection("$", f"must be one of {', '.join(READERS)}"),)
    found: dict[str, None] = {}
    faults: list[Rejection] = []
    try:
        for place, value in reader(body):
            try:
                customer_id = msgspec.convert(value, Id)
                if CONTACT.fullmatch(customer_id):
                    faults.append(Rejection(place, CONTACT_WORDS))
                found[customer_id] = None
            except msgspec.ValidationError:
                faults.append(Rejection(place, _wrong(value)))
            if len(found) > MAX_MEMBERS:
                faults.append(Rejection("$", TOO_MANY))
            if len(faults) >= MAX_FAULTS or len(found) > MAX_MEMBERS:
                break
    except (msgspec.MsgspecError, UnicodeDecodeError, csv.Error, RecursionError) as error:
        faults.append(Rejection("$", str(error)))
    return list(found), tuple(faults)


def _wrong(value: object) -> str:
    """What keeps it from being an id."""
    if not isinstance(value, str):
        return "is missing" if value is None else "must be a text"
    if not 0 < len(value) <= MAX_ID_CHARS:
        return f"must have 1 to {MAX_ID_CHARS} characters"
    return "holds spaces or control characters"


def _json(body: bytes) -> Iterator[Read]:
    """`["c1", "c2"]`, or the same under `customers`."""
    tree = msgspec.json.decode(body)
    under = "$"
    if isinstance(tree, dict) and tree.keys() == {"customers"}:
        tree, under = tree["customers"], "$.customers"
    if not isinstance(tree, list):
        raise msgspec.ValidationError("must be a list of customers' ids, or {customers: [...]}")
    yield from ((f"{under}[{number}]", value) for number, value in enumerate(tree))


def _ndjson(body: bytes) -> Iterator[Read]:
    """A line is an id as a JSON text, or a record with a field `customer_id`."""
    for number, line in enumerate(body.splitlines(), start=1):
        if line.strip():
            value = msgspec.json.decode(line)
            is_record = isinstance(value, Mapping)
            yield f"line {number}" + (f".{COLUMN}" if is_record else ""), value.get(COLUMN) if is_record else value


def _csv(body: bytes) -> Iterator[Read]:
    """The column `customer_id`, however its letters are cased, of a file with a head, or ids alone, one a line."""
    rows = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""))
    column: int | None = None
    first = True
    for row in rows:
        head = [cell.strip().lower() for cell in row] if first else []
        first = first and not row  # an empty line is none
        if head.count(COLUMN) > 1:
            raise msgspec.ValidationError(f"line {rows.line_num} names {COLUMN!r} more than once")
        if COLUMN in head:
            column = head.index(COLUMN)
        elif divider := next((each for each in DIVIDERS if any(each in cell for cell in head)), None):
            by = f"is divided by {DIVIDERS[divider]}"
            raise msgspec.ValidationError(f"line {rows.line_num} {by}: the columns of CSV are divided by commas")
        elif column is None and len(row) > 1:
            raise msgspec.ValidationError(NO_COLUMN)  # whichever column were taken might be another
        elif row:
            place = f"line {rows.line_num}" + ("" if column is None else f".{COLUMN}")
            cell = row[column or 0].strip() if (column or 0) < len(row) else None
            yield place, cell


READERS: Mapping[str, Callable[[bytes], Iterator[Read]]] = {
    "text/csv": _csv,
    "application/x-ndjson": _ndjson,
    "application/json": _json,
}
