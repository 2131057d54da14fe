"""`regulars segments`: what it prints of what the service tells, and what it sends of a file."""

import json
from pathlib import Path
from typing import Any

import pytest

from regulars.history.segment_files import BadSegments, read_segment
from regulars.home import Home
from regulars.verbs import segments

RULE = {"count": "purchase", "op": "gte", "value": 2}
OFTEN = {"segment": "often", "names": {"en": "Often"}, "in": RULE, "preset": False, "state": "live", "version": 3}


class Service:
    """Answers what it is told to, and keeps what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, Any]] = []

    async def ask(self, _home: Home, _shop: str, method: str, path: str, **more: Any) -> Any:
        kind = more.get("headers", {}).get("Content-Type")  # JSON where none is said
        content = more.get("content")
        self.asked.append((method, path, kind or (json.loads(content) if content else None)))
        return self.answer


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    service = Service(OFTEN | {"backfill": None})
    monkeypatch.setattr(segments, "_ask", service.ask)
    return service


async def test_what_is_shown_is_edited_at_that_version_alone(
    service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, file = Home(tmp_path), tmp_path / "often.yaml"
    await segments.show(home, "demo", "often")
    file.write_text(capsys.readouterr().out)
    await segments.edit(home, "demo", segments.words_of(file))
    await segments.create(home, "demo", {**segments.words_of(file), "segment": "oftener"})
    assert service.asked[1:] == [
        ("PUT", "/v1/segments/often", {"version": 3, "names": {"en": "Often"}, "in": RULE}),
        ("POST", "/v1/segments", {"segment": "oftener", "names": {"en": "Often"}, "in": RULE}),
    ]
    assert read_segment(file) == {name: OFTEN[name] for name in ("segment", "names", "in")}


async def test_a_preset_is_shown_without_a_version(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer |= {"preset": True}
    await segments.show(Home(Path()), "demo", "often")
    assert "\nversion:" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["overlap", "preview"])
async def test_a_word_of_an_address_is_no_segment(service: Service, name: str) -> None:
    with pytest.raises(ValueError, match=f"there is no segment '{name}'"):
        await segments.show(Home(Path()), "demo", name)
    assert service.asked == []


async def test_the_list_says_kind_and_name(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.answer = [{"segment": "often", "name": "Often here", "customers": 12, "kind": "own"}]
    await segments.show_all(Home(Path()), "demo")
    assert capsys.readouterr().out.split(maxsplit=3) == ["often", "12", "own", "Often here\n"]


@pytest.mark.parametrize(
    ("name", "kind"), [("l.csv", "text/csv"), ("l.TXT", "text/csv"), ("l.json", "application/json")]
)
async def test_the_ending_of_a_list_s_file_says_how_it_is_read(
    service: Service, tmp_path: Path, name: str, kind: str
) -> None:
    service.answer = {"put_on": 1, "taken_off": 0}
    file = tmp_path / name
    file.write_text("c1")
    await segments.put_list(Home(tmp_path), "demo", "l", file, False)
    assert service.asked == [("PUT", "/v1/lists/l", kind)]


@pytest.mark.parametrize("name", ["l.xlsx", "l"])
async def test_of_another_ending_the_ones_taken_are_told(service: Service, tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: .*\.csv, \.txt, \.ndjson, \.jsonl, \.json"):
        await segments.put_list(Home(tmp_path), "demo", "l", tmp_path / name, False)
    assert service.asked == []


def test_a_key_that_stands_twice_in_a_file_is_a_fault(tmp_path: Path) -> None:
    file = tmp_path / "often.yaml"
    file.write_text("segment: often\nin: {count: purchase, op: gte, value: 1,\n  value: 2}\n")
    said = r"(?s)often\.yaml: .*'value' is there twice.*line 3,"
    with pytest.raises(ValueError, match=said):
        segments.words_of(file)
    with pytest.raises(BadSegments, match=said):
        read_segment(file)


@pytest.mark.parametrize("word", ["yes", "no", "7"])
async def test_a_name_without_its_quotes_is_not_edited(service: Service, tmp_path: Path, word: str) -> None:
    file = tmp_path / "often.yaml"
    file.write_text(f"segment: {word}\nin: {{count: purchase, op: gte, value: 1}}\n")
    with pytest.raises(ValueError, match=r"\$\.segment: .*put it in quotes"):
        await segments.edit(Home(tmp_path), "demo", segments.words_of(file))
    assert service.asked == []
