"""Shops: the packaged ones, and how a file with faults is refused."""

from pathlib import Path

import pytest

from common.shops import Shop, ShopsError, load_shops


def write(folder: Path, text: str) -> Path:
    path = folder / "shops.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_packaged_shops() -> None:
    assert load_shops() == {
        "demo": Shop("demo", "Asia/Shanghai", "CNY", "zh-CN", "default"),
        "olist": Shop("olist", "America/Sao_Paulo", "BRL", "en", "olist"),
        "cdnow": Shop("cdnow", "UTC", "USD", "en", "olist"),
        "online_retail": Shop("online_retail", "Europe/London", "GBP", "en", "olist"),
        "ga_merch_store": Shop("ga_merch_store", "America/Los_Angeles", "USD", "en", "olist"),
        "taobao_userbehavior": Shop("taobao_userbehavior", "Asia/Shanghai", "CNY", "zh-CN", "olist"),
    }


def test_a_file_of_ones_own_and_the_default_preset(tmp_path: Path) -> None:
    path = write(tmp_path, "tea-house: {zone: Europe/Berlin, currency: EUR, locale: en}\n")
    assert load_shops(path) == {"tea-house": Shop("tea-house", "Europe/Berlin", "EUR", "en", "default")}


def test_phone_numbers_are_at_home_in_the_country_or_where_the_currency_is(tmp_path: Path) -> None:
    tea = "tea: {zone: Europe/Berlin, currency: EUR, locale: en, country: DE}"
    assert [shop.region for shop in load_shops(write(tmp_path, tea)).values()] == ["DE"]
    assert [shop.region for shop in load_shops().values()] == ["CN", "BR", "US", "GB", "US", "CN"]
    with pytest.raises(ShopsError, match=r"\$\.tea\.country: "):
        load_shops(write(tmp_path, tea.replace("DE", "Germany")))


def test_every_fault_is_told_at_once_with_its_path(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        """
        a: {zone: Mars/Olympus, currency: yuan, locale: fr, preset: ../../etc/passwd, colour: red}
        b: {zone: Asia, currency: CNY}
        no: {zone: 8, currency: CNY, locale: en}
        """,
    )
    with pytest.raises(ShopsError) as refused:
        load_shops(path)
    title, *faults = str(refused.value).splitlines()
    assert title == f"{path}:"
    assert [fault.split(": ")[0] for fault in faults] == [
        "$.a.colour",
        "$.a.zone",
        "$.a.currency",
        "$.a.locale",
        "$.a.preset",
        "$.b.locale",
        "$.b.zone",
        "$.False.zone",
        "$.False.shop_id",
    ]
    assert faults[1] == "$.a.zone: 'Mars/Olympus' is not an IANA time zone"
    assert faults[5] == "$.b.locale: missing"


@pytest.mark.parametrize("text", ["", "{}", "- demo", "demo: Asia/Shanghai", "demo: {zone: [", "\ufeff\x00"])
def test_a_file_of_another_shape_is_refused_by_name(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ShopsError, match=r"shops\.yaml: "):
        load_shops(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ShopsError, match=r"nothing\.yaml: "):
        load_shops(tmp_path / "nothing.yaml")
