"""The same rows out of every format; and a row that cannot be read costs no other."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from regulars.files import rows
from regulars.files.rows import FileFault
from tests.unit.regulars.files.stage import ORDERS, Came, came, mapped

CSV = "nr,who,day,price\n1,ana,2026-01-31,12.50\n2,bia,2026-02-01,7\n"
AMOUNTS = [("1", "ana", "2026-01-30T23:00:00Z", 1250), ("2", "bia", "2026-01-31T23:00:00Z", 700)]


def told(events: Came) -> list[tuple[str, str, str, int]]:
    return [(e["id"], e["subject"], e["time"], e["data"]["amount"]["amount_minor"]) for e in events]


def of_format(name: str) -> str:
    return ORDERS.replace("format: csv", f"format: {name}")


@pytest.mark.parametrize(
    ("content", "csv"),
    [
        (CSV, {}),
        (CSV.replace("\n", "\r\n"), {}),
        ("\ufeff" + CSV + "\n\n", {}),
        (CSV.replace(",", ";"), {"delimiter": ";"}),
        (CSV.replace(",", "\t"), {"delimiter": "\t"}),
        (CSV.replace(",", "   ").replace("\n", " \n  "), {"delimiter": "whitespace"}),
        (CSV.partition("\n")[2], {"header": ["nr", "who", "day", "price"]}),
        ("Exported today\n" + CSV, {"skip_lines": 1}),
        (CSV.replace("ana", "'ana'"), {"quote": "'"}),
        ('note,nr,who,day,price\n"a\nb ""c""",1, ana ,2026-01-31,12.50\n,2,bia,2026-02-01,7\n', {}),
    ],
)
def test_csv_as_others_write_it(tmp_path: Path, content: str, csv: dict[str, object]) -> None:
    events = came(mapped(csv=csv), tmp_path, content)
    assert (told(events), events.refused) == (AMOUNTS, [])


def test_other_encodings(tmp_path: Path) -> None:
    text = CSV.replace("nr", "单号")
    mapping = mapped(ORDERS.replace("{nr}", "{单号}"), encoding="gbk")
    assert told(came(mapping, tmp_path, text.encode("gbk"))) == AMOUNTS
    with pytest.raises(FileFault, match="no encoding 'klingon'"):
        came(mapped(encoding="klingon"), tmp_path, CSV)


def test_rows_that_are_broken_cost_no_other(tmp_path: Path) -> None:
    lines = [b"nr,who,day,price", b"1,ana,2026-01-31,12.50", b"x,y", b"3,\xff,2026-01-31,1", b"2,bia,2026-02-01,7"]
    events = came(mapped(), tmp_path, b"\n".join(lines))
    assert told(events) == AMOUNTS
    assert [(r["line"], r["path"], r["reason"]) for r in events.refused] == [
        (3, "$", "has 2 of 4 columns"),
        (4, "$.columns.who", "is not text of the file's encoding"),
    ]


def test_a_file_without_the_columns(tmp_path: Path) -> None:
    with pytest.raises(FileFault, match="has no column nr, who; what it has: a, day, price"):
        came(mapped(), tmp_path, "a,day,price\n")
    with pytest.raises(FileFault, match="has no header"):
        came(mapped(), tmp_path, "")


def test_ndjson(tmp_path: Path) -> None:
    lines = [
        b'\xef\xbb\xbf{"nr": 1, "who": "ana", "day": "2026-01-31", "price": 12.50, "more": [1]}',
        b"",
        b'{"nr": 2, "who": "bia", "day": "2026-02-01", "price": "7"}',
        b"{",
        b"[]",
        b'{"nr": [3], "who": "bia", "day": "2026-02-01", "price": 7}',
    ]
    events = came(mapped(of_format("ndjson")), tmp_path, b"\n".join(lines))
    assert told(events) == AMOUNTS
    assert [(r["line"], r["path"], r["reason"]) for r in events.refused] == [
        (4, "$", "is no JSON object"),
        (5, "$", "is no JSON object"),
        (6, "$.columns.nr", "is a list or an object"),
    ]


def test_a_line_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LINE_MAX_BYTES", 100)
    long = json.dumps({"nr": "0", "note": "x" * 250}) + "\n"
    good = '{"nr": 2, "who": "bia", "day": "2026-02-01", "price": 7}\n'
    events = came(mapped(of_format("ndjson")), tmp_path, long + good)
    assert (told(events), [r["line"] for r in events.refused]) == (AMOUNTS[1:], [1])


def test_an_object_s_fields_are_named_by_paths(tmp_path: Path) -> None:
    text = of_format("ndjson").replace("{who}", "{customer.id}").replace("{nr}", "{order.nr}")
    rows = [{"order": {"nr": 1}, "customer": {"id": "ana"}, "day": "2026-01-31", "price": 12.5}, {"customer": None}]
    events = came(mapped(text), tmp_path, "\n".join(map(json.dumps, rows)))
    assert told(events) == AMOUNTS[:1]


def test_parquet(tmp_path: Path) -> None:
    place = tmp_path / "orders.parquet"
    days = pa.array([1769814000000, 1769900400000], pa.timestamp("ms", "Europe/Berlin"))
    table = pa.table({"nr": [1, 2], "who": ["ana", "bia"], "day": days, "price": [12.5, 7.0], "note": [None, "x"]})
    parquet.write_table(table, place)
    assert told(came(mapped(of_format("parquet")), tmp_path, place)) == AMOUNTS
    parquet.write_table(table.drop_columns("who"), place)
    with pytest.raises(FileFault, match="has no column who; what it has: nr, day, price, note"):
        came(mapped(of_format("parquet")), tmp_path, place)
    with pytest.raises(FileFault, match="no Parquet file"):
        came(mapped(of_format("parquet")), tmp_path, CSV)


def test_a_parquet_file_without_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(rows, "import_module", lacking)
    with pytest.raises(FileFault, match=r"0.file needs pyarrow: pip install 'regulars\[parquet\]'"):
        came(mapped(of_format("parquet")), tmp_path, b"")


def test_packed_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode()))
    (tmp_path / "a.csv.zst").write_bytes(pa.compress(CSV.encode(), codec="zstd", asbytes=True))
    for name in ("a.csv.gz", "a.csv.zst"):
        assert told(came(mapped(), tmp_path, tmp_path / name)) == AMOUNTS


def test_a_packed_file_that_is_cut_off(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(CSV.encode())[:-10])
    with pytest.raises(FileFault, match=r"a\.csv\.gz is cut off or damaged"):
        came(mapped(), tmp_path, tmp_path / "a.csv.gz")


def test_a_list_of_lines_within_an_order(tmp_path: Path) -> None:
    text = """
format: ndjson
currency: EUR
zone: UTC
explode: order.lines
columns:
  at: {column: order.at, type: time}
  pieces: {column: order.lines.pieces, type: integer}
  price: {column: order.lines.price, type: money}
  line: {column: order.lines.price, type: money, times: pieces}
time: at
person: {subject: "{who}"}
events:
  - type: order.placed
    id: "{order.nr}"
    data:
      order_id: "{order.nr}"
      amount: {sum: line}
      items: {each: {item_id: "{order.lines.sku}", quantity: "{pieces}", unit_price: "{price}"}}
"""
    lines = [{"sku": "a", "pieces": 2, "price": 1.25}, {"sku": "b", "pieces": 1, "price": "0.10"}]
    row = {"who": "ana", "order": {"nr": 7, "at": "2026-01-31", "lines": lines}}
    (event,) = came(mapped(text), tmp_path, json.dumps(row))
    assert event["data"] == {
        "order_id": "7",
        "amount": {"amount_minor": 260, "currency": "EUR"},
        "items": [
            {"item_id": "a", "quantity": 2, "unit_price": {"amount_minor": 125, "currency": "EUR"}},
            {"item_id": "b", "quantity": 1, "unit_price": {"amount_minor": 10, "currency": "EUR"}},
        ],
    }
    place = tmp_path / "orders.parquet"
    parquet.write_table(
        pa.Table.from_pylist(
            [
                {
                    "who": "ana",
                    "order": {
                        "nr": 7,
                        "at": "2026-01-31",
                        "lines": [{"sku": "a", "pieces": 2, "price": 1.25}, {"sku": "b", "pieces": 1, "price": 0.1}],
                    },
                }
            ]
        ),
        place,
    )
    (same,) = came(mapped(text.replace("ndjson", "parquet")), tmp_path, place)
    assert same["data"] == event["data"]
