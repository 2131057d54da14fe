"""Reviews are sorted by the shop's keywords: by hand on what people write, by law on anything."""

import csv
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from common import presets
from common.contracts.envelope import Rejection
from common.contracts.ingest import ReviewSubmitted, ReviewTopic
from common.presets import BadPresets
from common.shops import Shop
from ingest.domain.accept import Accepted, accept
from ingest.domain.review_topics import OTHER, TOPICS, Table, parse, table, topics_of

NOW = datetime(2026, 3, 1, tzinfo=UTC)
OLIST = Path(os.environ.get("OLIST", "data/olist")) / "olist_order_reviews_dataset.csv"


def of_preset(name: str) -> Table:
    shop = Shop("a", "Asia/Shanghai", "CNY", "zh-CN", name)
    return presets.load("ingest", {"a": shop}, lambda text, _shop: parse(text))["a"]


DEFAULT = of_preset("default")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("客服态度很好，耐心解答", "service"),
        ("售后不理人，差评", "service"),
        ("质量不错，做工精细，没有色差", "product"),
        ("衣服尺码偏小，面料一般", "product"),
        ("味道很好，孩子喜欢，很新鲜", "product"),
        ("包装破损，盒子都压坏了", "package"),
        ("礼盒很精美", "package"),
        ("物流太慢了，等了十天", "logistics"),
        ("快递小哥送货上门，发货快", "logistics"),
        ("性价比高，很划算", "price"),
        ("有点贵", "price"),
        ("质量好，物流快，客服态度也好，价格实惠", "service product logistics price"),
        ("包装严实，快递给力", "package logistics"),
        ("此用户没有填写评价", "other"),
        ("好评！", "other"),
        ("五星推荐，下次再来", "other"),
        ("ＱＵＡＬＩＴＹ很好", "product"),
        ("Great quality, fast delivery!", "product logistics"),
        ("Arrived CRUSHED; the box was torn.", "package logistics"),
        ("Seller refunded me at once", "service"),
        ("Way too expensive, not worth it", "price"),
        ("I love it", "other"),
        ("the boxer and the sizeable staffer", "other"),  # no whole word of ours
        ("Smells odd, tasteless", "product"),  # `*`: any ending
        ("A recomendo, chegou antes do prazo", "other"),
        ("", ""),
        ("  \n", ""),
        ("👍👍", "other"),
    ],
)
def test_what_people_write(text: str, expected: str) -> None:
    assert topics_of(text, DEFAULT) == tuple(expected.split())


def test_a_word_may_stand_beside_chinese() -> None:
    assert topics_of("这个quality不行", DEFAULT) == ("product",)
    assert topics_of("prix élevé", table({"price": ["élevé"]})) == ("price",)
    assert topics_of("le prix surélevé", table({"price": ["élevé"]})) == (OTHER,)


@pytest.mark.skipif(not OLIST.exists(), reason="OLIST=folder with the public files")
def test_a_shop_that_has_no_keywords_yet() -> None:
    with OLIST.open(encoding="utf-8") as file:
        texts = [row["review_comment_message"] for row in csv.DictReader(file)]
    keywords = of_preset("olist")
    assert {topics_of(text, keywords) for text in texts} == {(), (OTHER,)}


# ---- laws

WORDS = st.sampled_from(["质量", "物流", "box", "smell*", "value for money", "贵", "c++", "a.b", "élevé"])
TABLES = st.dictionaries(st.sampled_from([t for t in TOPICS if t != OTHER]), st.lists(WORDS, max_size=5))
TEXTS = st.lists(WORDS.map(lambda word: word.rstrip("*")) | st.text(max_size=8), max_size=6).map(" ".join)


@given(keywords=TABLES, text=TEXTS, data=st.data())
def test_the_order_of_keywords_makes_no_difference(
    keywords: dict[ReviewTopic, list[str]], text: str, data: st.DataObject
) -> None:
    mixed = {topic: data.draw(st.permutations(keywords[topic])) for topic in data.draw(st.permutations(list(keywords)))}
    assert table(mixed) == table(keywords)
    assert topics_of(text, table(mixed)) == topics_of(text, table(keywords))


@given(keywords=TABLES, text=TEXTS)
def test_each_topic_once_in_one_order_and_other_stands_alone(keywords: dict[ReviewTopic, list[str]], text: str) -> None:
    found = topics_of(text, table(keywords))
    assert list(found) == sorted(set(found), key=TOPICS.index)
    assert OTHER not in found or found == (OTHER,)
    assert bool(found) == bool(text.strip())


@given(keywords=TABLES, text=TEXTS, more=WORDS, topic=st.sampled_from([t for t in TOPICS if t != OTHER]))
def test_another_keyword_takes_no_topic_away(
    keywords: dict[ReviewTopic, list[str]], text: str, more: str, topic: ReviewTopic
) -> None:
    grown = {**keywords, topic: [*keywords.get(topic, []), more]}
    assert set(topics_of(text, table(keywords))) - {OTHER} <= set(topics_of(text, table(grown)))


@given(keywords=TABLES, text=TEXTS, around=st.text(max_size=10))
def test_a_chinese_keyword_is_found_wherever_it_stands(
    keywords: dict[ReviewTopic, list[str]], text: str, around: str
) -> None:
    grown = table({**keywords, "price": ["价钱"]})
    assert "price" in topics_of(f"{around}价钱{text}", grown)


# ---- faults of a table


def faults(text: str) -> list[tuple[str, str]]:
    found = parse(text)
    assert isinstance(found, tuple)
    return [(fault.path, fault.reason.partition(";")[0].partition(",")[0]) for fault in found]


def test_every_fault_is_told_with_its_path() -> None:
    text = """
review_topics:
  servise: [a]
  other: [b]
  product: 质量
  package: ["", 7, "包装*", "ab*c", "*", "box*", "箱"]
colour: blue
"""
    named = "expected one of service"
    kind = "expected a text of 1 to 40 characters"
    assert faults(text) == [
        ("$.colour", "unknown field"),
        ("$.review_topics.servise", named),
        ("$.review_topics.other", named),
        ("$.review_topics.product", "expected a list of at most 500 keywords"),
        *((f"$.review_topics.package[{number}]", kind) for number in range(5)),
    ]


@pytest.mark.parametrize("text", ["", "[]", "1", "a: [", "review_topics:", "review_topics: [a]"])
def test_what_is_no_table_at_all(text: str) -> None:
    assert faults(text)[0][0] in ("$", "$.review_topics")


def test_a_preset_that_is_not_there_refuses_the_start() -> None:
    with pytest.raises(BadPresets, match=r"no preset 'nope'; there are default, olist"):
        of_preset("nope")


# ---- at the edge


def review(data: dict[str, Any], text: str | None) -> ReviewSubmitted:
    event: dict[str, Any] = {"id": "r1", "type": "review.submitted", "subject": "c1", "data": {"rating": 2, **data}}
    event |= {"personal": {"review_text": text}} if text is not None else {}
    outcome = accept(json.dumps(event).encode(), "shop", "CNY", NOW, historic=False, keywords=DEFAULT)
    assert isinstance(outcome, Accepted), outcome
    assert isinstance(outcome.event.data, ReviewSubmitted)
    assert (outcome.personal.review_text if outcome.personal else None) == text
    return ReviewSubmitted(**structs.asdict(outcome.event.data))


def test_only_what_it_is_about_and_its_length_travel() -> None:
    assert review({"has_photo": True}, "物流慢，包装破了") == ReviewSubmitted(
        rating=2, has_photo=True, topics=("package", "logistics"), length=8
    )
    assert review({}, "👍🏽") == ReviewSubmitted(rating=2, topics=("other",), length=2)
    assert review({}, "") == ReviewSubmitted(rating=2, length=0)
    assert review({"length": 5}, None) == ReviewSubmitted(rating=2, length=5)


def test_a_sender_that_names_topics_keeps_them() -> None:
    assert review({"topics": ["price"]}, "物流慢").topics == ("price",)
    assert review({"topics": ["price"]}, None) == ReviewSubmitted(rating=2, topics=("price",))


def test_a_refused_review_is_refused_as_before() -> None:
    event = {"id": "r", "type": "review.submitted", "subject": "c", "data": {"rating": 9}}
    outcome = accept(json.dumps(event).encode(), "shop", "CNY", NOW, historic=False, keywords=DEFAULT)
    assert isinstance(outcome, Rejection)
    assert outcome.path == "$.data.rating"
