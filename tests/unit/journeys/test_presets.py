"""The presets that come with the product, and how a folder of them is read."""

from datetime import timedelta
from pathlib import Path

import pytest

from common.shops import Shop
from journeys.presets import JourneysRefused, load

GOOD = """\
journey: {0}
purpose: marketing
enter: {{on: order.paid, key: order_id}}
steps: [{{step: one, after: 1h, send: sms, template: one}}]
"""


def shops(*presets: str) -> dict[str, Shop]:
    return {f"shop_{name}": Shop(f"shop_{name}", "Asia/Shanghai", "CNY", "zh-CN", name) for name in presets}


@pytest.mark.parametrize("preset", ["default", "olist"])
def test_what_the_product_comes_with(preset: str) -> None:
    definitions = load(shops(preset))[f"shop_{preset}"]
    said = [(d.journey, d.purpose, s.step, s.after, s.send, s.template) for d in definitions for s in d.steps]
    assert said == [
        ("dispatch_notice", "transactional", "dispatched", timedelta(0), "sms", "dispatch_notice"),
        ("gift_30d", "marketing", "gift", timedelta(hours=720), "email", "gift_30d"),
        ("payment_reminder", "transactional", "5m", timedelta(minutes=5), "in_app", "payment_reminder_5m"),
        ("payment_reminder", "transactional", "1h", timedelta(hours=1), "sms", "payment_reminder_1h"),
        ("payment_reminder", "transactional", "24h", timedelta(hours=24), "sms", "payment_reminder_24h"),
    ]


def folder_of(path: Path, **texts: str) -> Path:
    """A folder of presets; `own__one` is own/one.yaml."""
    for name, text in texts.items():
        preset, _, journey = name.partition("__")
        (path / preset).mkdir(exist_ok=True)
        (path / preset / f"{journey}.yaml").write_text(text, encoding="utf-8")
    return path


def test_a_preset_may_take_journeys_of_others(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        own__two=GOOD.format("two"),
        own__preset="take: [base/one]",
        base__one=GOOD.format("one"),
        base__three=GOOD.format("three"),
    )
    loaded = load(shops("own", "base"), folder)
    assert [one.journey for one in loaded["shop_own"]] == ["one", "two"]
    assert [one.journey for one in loaded["shop_base"]] == ["one", "three"]


def test_all_faults_of_all_presets_are_told_at_once(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        own__preset="take:\n  - base/none\n  - base/one\n  - ../base/one\n",
        own__one=GOOD.format("one"),
        own__two=GOOD.format("three"),
        base__one=GOOD.format("one"),
        base__bad=GOOD.format("bad").replace("order_id", "basket").replace("sms", "fax"),
    )
    with pytest.raises(JourneysRefused) as refused:
        load(shops("own", "base", "none"), folder)
    assert str(refused.value).splitlines() == [
        "journeys/presets/base/bad.yaml:3: $.enter.key: order.paid has no key 'basket'; it has order_id",
        "journeys/presets/base/bad.yaml:4: $.steps[0].send: 'fax' is none of sms, email, in_app, social",
        "journeys/presets: no preset 'none'; there are base, own",
        "journeys/presets/own/preset.yaml:2: $.take[0]: no such journey; a journey is named <preset>/<journey>",
        "journeys/presets/own/preset.yaml:4: $.take[2]: no such journey; a journey is named <preset>/<journey>",
        "journeys/presets/own/one.yaml:1: $.journey: preset own has another one",
        "journeys/presets/own/two.yaml:1: $.journey: three must be in three.yaml",
    ]


def test_a_preset_that_no_shop_asks_for_is_not_read(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, own__one=GOOD.format("one"), base__bad="nonsense")
    assert [one.journey for one in load(shops("own"), folder)["shop_own"]] == ["one"]
