"""`regulars segments`: a shop's segments, made and edited by files, previewed, and why somebody is in one."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import yaml
from rich.console import Console

from regulars.asking import PROBLEM, ask, asking
from regulars.asking import told as told_by
from regulars.home import Home
from regulars.services import Name
from segmentation.domain.rules.parse_segment import fault_of_id
from segmentation.own.definition import RESERVED
from segmentation.presets.segment_files import as_json
from segmentation.presets.written import read_yaml

SERVICE: Name = "segmentation"
KINDS = {
    ".csv": "text/csv",
    ".txt": "text/csv",  # an id on each line
    ".ndjson": "application/x-ndjson",
    ".jsonl": "application/x-ndjson",
    ".json": "application/json",
}
INDENT = "  "
VERSION = "version"  # in a file: the one that it was made of

console = Console()


async def show_all(home: Home, shop: str) -> None:
    """Every segment with the number of its customers, its kind (grid, preset, own) and its name for people."""
    told = await _ask(home, shop, "GET", "/v1/segments")
    for each in told["items"] if isinstance(told, Mapping) else told:
        _print(f"{each['segment']:<32}  {each['customers']:>9}  {each['kind']:<6}  {each['name']}")


async def show(home: Home, shop: str, segment: str) -> None:
    """Prints a segment as a file that can be edited, and how far its last edit is felt."""
    if segment in RESERVED:
        raise ValueError(f"there is no segment {segment!r}: the word is a part of an address")
    told = await _ask(home, shop, "GET", f"/v1/segments/{_quoted(segment)}")
    _print(f"# {'of the preset' if told['preset'] else told['state']}, version {told['version']}")
    _print_progress(told["backfill"])
    based_on = {} if told["preset"] else {VERSION: told["version"]}  # a preset's is not edited but copied
    words = {"segment": told["segment"]} | based_on | {name: told[name] for name in ("names", "in")}
    _print(yaml.safe_dump(words, allow_unicode=True, sort_keys=False).rstrip())


async def create(home: Home, shop: str, words: Mapping[str, Any]) -> None:
    """Makes a segment; the version in the file is of another, that this was made of."""
    body = {name: value for name, value in words.items() if name != VERSION}
    told = await _ask(home, shop, "POST", "/v1/segments", content=_json(body))
    _print(f"{told['segment']} is made; {_asked(told['backfill'])}")


async def edit(home: Home, shop: str, words: Mapping[str, Any]) -> None:
    """Makes a segment's next version; refused where the file says of which version it was made, and that is not the
    last any more."""
    segment = as_json(words.get("segment"))
    if segment in (None, ""):
        raise ValueError("the file must say which segment: a line `segment: <name>`")
    if fault := fault_of_id(segment):
        raise ValueError(f"$.segment: {fault}")
    body = {name: value for name, value in words.items() if name != "segment"}
    told = await _ask(home, shop, "PUT", f"/v1/segments/{_quoted(segment)}", content=_json(body))
    _print(f"{segment} is at version {told['version']}; {_asked(told['backfill'])}")


async def archive(home: Home, shop: str, segment: str) -> None:
    """Everybody leaves the segment; its versions stay."""
    await _ask(home, shop, "POST", f"/v1/segments/{_quoted(segment)}/archive")
    _print(f"{segment} is archived, and everybody leaves it.")


async def preview(home: Home, shop: str, words: Mapping[str, Any]) -> None:
    """How many customers a rule would hold for, and some of them."""
    told = await _ask(home, shop, "POST", "/v1/segments/preview", content=_json({"in": words.get("in")}))
    of = f"of {told['of']} customers"
    if told["exact"]:
        _print(f"{told['customers']} {of}")
    else:
        error = f"{told['error']} more or less, 19 times of 20"
        _print(f"about {told['customers']} {of} ({error}: by {told['looked_at']} drawn at random)")
    for each in told["sample"]:
        _print(each["customer_id"])
        for line in _parts(each["why"], 1):
            _print(line)


async def why(home: Home, shop: str, customer_id: str, segment: str) -> None:
    """Why a customer is in a segment, or is not, and until when."""
    path = f"/v1/customers/{_quoted(customer_id)}/why"
    told = await _ask(home, shop, "GET", path, params={"segment": segment})
    _print(yaml.safe_dump(told, allow_unicode=True, sort_keys=False).rstrip())


async def put_list(home: Home, shop: str, name: str, file: Path, empty: bool) -> None:
    """A static list holds the customers of a file from now on, and no others."""
    kind = KINDS.get(file.suffix.lower())
    if kind is None:
        raise ValueError(f"{file}: a list is a file that ends in {', '.join(KINDS)}")
    headers = {"Content-Type": kind}
    path = f"/v1/lists/{_quoted(name)}"
    params = {"empty": "true"} if empty else {}
    told = await _ask(home, shop, "PUT", path, content=file.read_bytes(), headers=headers, params=params)
    _print(f"{name}: {told['put_on']} put on, {told['taken_off']} taken off")


async def delete_list(home: Home, shop: str, name: str) -> None:
    """Everybody is taken off the list, and it is gone."""
    await _ask(home, shop, "DELETE", f"/v1/lists/{_quoted(name)}")
    _print(f"{name} is gone, and everybody is taken off it.")


def words_of(file: Path) -> Mapping[str, Any]:
    """A segment's file, YAML or JSON."""
    try:
        tree = read_yaml(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file}: not YAML: {error}") from None
    if isinstance(tree, Mapping):
        return tree
    raise ValueError(f"{file}: must say segment, names and in")


async def _ask(home: Home, shop: str, method: str, path: str, **more: Any) -> Any:
    headers = {"Content-Type": "application/json"} | more.pop("headers", {})
    async with asking(home, shop, None, (SERVICE,)) as system:
        answer = await ask(system.clients[SERVICE], SERVICE, method, path, headers=headers, **more)
    if errors := _errors(answer):
        raise ValueError("\n".join(f"{error['path']}: {error['reason']}" for error in errors))
    return told_by(answer, SERVICE)


def _errors(answer: httpx.Response) -> list[dict[str, str]]:
    """Every fault of what was sent, where the answer lists them."""
    if not answer.is_client_error or not answer.headers.get("content-type", "").startswith(PROBLEM):
        return []
    errors: list[dict[str, str]] = answer.json().get("errors", [])
    return errors


def _json(words: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(as_json(words))


def _parts(why: Mapping[str, Any], depth: int) -> Iterator[str]:
    """A rule's part in words with its answer, and the parts below it, one to a line."""
    found = "" if why["found"] is None else f"  found {why['found']}"
    events = f"  by {', '.join(event['name'] for event in why['events'])}" if why["events"] else ""
    until = f"  until {why['until']}" if why["until"] else ""
    yield f"{INDENT * depth}{'yes' if why['holds'] else 'no '}  {why['asked']}{found}{events}{until}"
    for part in why["parts"]:
        yield from _parts(part, depth + 1)


def _asked(backfill: Mapping[str, Any] | None) -> str:
    return f"{backfill['customers']} customers are asked about it now" if backfill else "nobody has to be asked"


def _print_progress(backfill: Mapping[str, Any] | None) -> None:
    if backfill is not None:
        how_far = "felt by everybody" if backfill["ended"] else f"{backfill['passed']} of {backfill['customers']} asked"
        _print(f"# last edit: {how_far}")


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _print(line: str) -> None:
    console.out(line, highlight=False)
