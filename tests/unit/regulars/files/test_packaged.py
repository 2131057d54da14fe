"""The packaged mappings on rows of the shapes their data sets have, traps among them."""

from pathlib import Path

from regulars.files.mapping import load
from tests.unit.regulars.files.stage import Came, came

CDNOW = """\
 00004 0001 19970101  2   29.33
 00004 0001 19970101  1   10.00
 00004 0001 19970118  2   29.73
 00018 0021 19970104  1    0.00
"""
RETAIL = """\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,WHITE HANGING HEART,6,2010-12-01 08:26:00,2.55,17850.0,United Kingdom
536365,BANK CHARGES,Bank Charges,1,2010-12-01 08:27:00,0.004,17850.0,United Kingdom
C536379,D,Discount,-1,2010-12-01 09:41:00,27.5,14527.0,United Kingdom
536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom
581587,22899,APRON,1,2011-07-09 12:50:00,2.10,12680.0,France
"""
GA = """\
visitor_id,visit_id,hit_number,event_epoch_ms,action,step,product_sku,product_variant,price_usd,quantity,\
product_revenue_usd,transaction_id,transaction_revenue_usd,transaction_tax_usd,transaction_shipping_usd
0288,1,5,1470046357096,product_click,1,A,,4.00,,,,,,
0288,1,6,1470046357108,product_view,1,A,,4.00,,,,,,
0288,1,7,1470046357200,add_to_cart,1,A,,98.99,10000000000000000,,,,,
0288,1,8,1470046357300,add_to_cart,1,B,,1.20,,,,,,
0288,1,9,1470046357400,remove_from_cart,1,B,,1.20,2,,,,,
0288,1,10,1470046357500,purchase,1,A,,98.99,1,,T1,,,
0288,1,11,1470046357600,purchase,1,A,,98.99,1,98.99,T1,105.50,6.51,
0288,1,11,1470046357600,purchase,1,B,,1.20,1,1.20,T1,105.50,6.51,
0288,1,12,1470046357700,purchase,1,A,,98.99,1,,T2,,,
"""
TAOBAO = "1,22,33,pv,1511544070\n1,22,33,cart,1511544071\n1,22,33,buy,1511544072\n1,22,33,pv,1511000000\n"


def amounts(events: Came, kind: str) -> list[tuple[str, int]]:
    return [(e["data"]["order_id"], e["data"]["amount"]["amount_minor"]) for e in events if e["type"] == kind]


def test_cdnow(tmp_path: Path) -> None:
    events = came(load("cdnow_sample"), tmp_path, CDNOW)
    wanted = [("0001:19970101", 3933), ("0021:19970104", 0), ("0001:19970118", 2973)]
    assert all(amounts(events, f"order.{kind}") == wanted for kind in ("placed", "paid", "completed"))
    assert {e["subject"] for e in events} == {"cdnow:0001", "cdnow:0021"}
    master = " customer_id  date number_of_cds  dollar_value\n" + CDNOW.replace(" 00004", "").replace(" 00018", "")
    assert amounts(came(load("cdnow_master"), tmp_path, master), "order.paid") == wanted


def test_online_retail(tmp_path: Path) -> None:
    events = came(load("online_retail"), tmp_path, RETAIL)
    assert events.refused == []
    assert amounts(events, "order.paid") == [("536365", 1530), ("581587", 210)]
    assert [e["time"] for e in events[::3]] == ["2010-12-01T08:26:00Z", "2011-07-09T11:50:00Z"]
    assert events[0]["subject"] == "online_retail:17850"
    assert [item["item_id"] for item in events[0]["data"]["items"]] == ["85123A", "BANK"]
    assert events.reading.left_out == 2


def test_ga_merch_store(tmp_path: Path) -> None:
    events = came(load("ga_merch_store"), tmp_path, GA)
    assert events.refused == []
    assert amounts(events, "order.paid") == [("T1", 10550), ("T2", 0)]
    carts = [(e["type"], e["data"]["item"]["item_id"], e["data"]["item"]["quantity"]) for e in events[1:4]]
    assert carts == [("cart.item_added", "A", 1), ("cart.item_added", "B", 1), ("cart.item_removed", "B", 2)]
    assert {e["identities"]["anonymous"] for e in events} == {"ga:0288"}


def test_taobao_userbehavior(tmp_path: Path) -> None:
    events = came(load("taobao_userbehavior"), tmp_path, TAOBAO)
    assert [e["type"] for e in events] == ["visit", "cart.item_added", "order.placed", "order.paid", "order.completed"]
    assert events.reading.left_out == 1
