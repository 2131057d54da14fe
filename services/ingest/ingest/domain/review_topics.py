"""What a review is about, by the shop's table of keywords: only that travels, the text stays in the vault.

A keyword in Latin letters is looked for as a word of its own, in upper or lower case; with `*` behind it as the
beginning of one. Any other (Chinese writes no spaces) is looked for anywhere.
"""

import re
import unicodedata
from collections.abc import Collection, Mapping
from typing import get_args

import yaml
from msgspec import Struct

from common.contracts.envelope import Rejection
from common.contracts.ingest import ReviewTopic

TOPICS: tuple[ReviewTopic, ...] = get_args(ReviewTopic)  # the order in which they are told
OTHER: ReviewTopic = "other"  # what no keyword is found in
FIELD = "review_topics"
KEYWORDS_MAX = 500  # of one topic
KEYWORD_CHARS_MAX = 40
LATIN = "a-z0-9\u00df-\u024f"  # small letters with their accents, after case folding
WORDS = re.compile(rf"[{LATIN}][{LATIN}' -]*\*?")  # what is looked for as words


class Keyword(Struct, frozen=True, order=True):
    """`text` is looked for first, which is quick; where it is a word, `pattern` then sees whether it stands alone."""

    text: str
    pattern: str = ""

    def is_in(self, plain: str) -> bool:
        """Whether it is in the text."""
        return self.text in plain and (not self.pattern or re.search(self.pattern, plain) is not None)


class Table(Struct, frozen=True):
    """For each topic its keywords, in an order of their own."""

    keywords: tuple[tuple[ReviewTopic, tuple[Keyword, ...]], ...] = ()


NO_KEYWORDS = Table()


def table(keywords: Mapping[ReviewTopic, Collection[str]]) -> Table:
    """The table of these keywords; which order they are in makes no difference."""
    return Table(tuple((topic, tuple(sorted(map(_keyword, keywords.get(topic, ()))))) for topic in TOPICS))


def topics_of(text: str, keywords: Table) -> tuple[ReviewTopic, ...]:
    """All that the text is about, each once, in the order of TOPICS; nothing for a text without words."""
    plain = _plain(text)
    if not plain.strip():
        return ()
    found = (topic for topic, words in keywords.keywords if any(word.is_in(plain) for word in words))
    return tuple(found) or (OTHER,)


def parse(text: str) -> Table | tuple[Rejection, ...]:
    """A preset's table, or everything that is wrong with it."""
    try:
        preset = yaml.safe_load(text)
    except yaml.YAMLError as error:
        return (Rejection("$", f"not YAML: {error}"),)
    if not isinstance(preset, dict) or not isinstance(preset.get(FIELD), dict):
        return (Rejection(f"$.{FIELD}", "expected topics, each with a list of keywords"),)
    given = preset[FIELD]
    faults = [Rejection(f"$.{name}", "unknown field") for name in preset if name != FIELD]
    sortable = [topic for topic in TOPICS if topic != OTHER]
    faults += [
        Rejection(f"$.{FIELD}.{topic}", f"expected one of {', '.join(sortable)}; what is left is {OTHER}")
        for topic in given
        if topic not in sortable
    ]
    faults += [fault for topic in sortable for fault in _faults(given.get(topic, []), f"$.{FIELD}.{topic}")]
    return tuple(faults) or table({topic: given.get(topic, []) for topic in sortable})


def _faults(keywords: object, path: str) -> list[Rejection]:
    if not isinstance(keywords, list) or len(keywords) > KEYWORDS_MAX:
        return [Rejection(path, f"expected a list of at most {KEYWORDS_MAX} keywords")]
    wrong = f"expected a text of 1 to {KEYWORD_CHARS_MAX} characters; `*` stands at the end of Latin letters alone"
    return [Rejection(f"{path}[{number}]", wrong) for number, word in enumerate(keywords) if not _is_sound(word)]


def _is_sound(word: object) -> bool:
    if not isinstance(word, str) or not word.strip() or len(word) > KEYWORD_CHARS_MAX:
        return False
    return "*" not in word or WORDS.fullmatch(_plain(word).strip()) is not None


def _keyword(word: str) -> Keyword:
    plain = _plain(word).strip()
    if not WORDS.fullmatch(plain):
        return Keyword(plain)
    text = plain.removesuffix("*")
    return Keyword(text, rf"(?<![{LATIN}]){re.escape(text)}" + ("" if text != plain else rf"(?![{LATIN}])"))


def _plain(text: str) -> str:
    """Without the differences that mean nothing: of width, of case, of the apostrophe."""
    return unicodedata.normalize("NFKC", text).casefold().replace("\u2019", "'")
