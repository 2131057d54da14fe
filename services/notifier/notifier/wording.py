"""The templates: `templates/<locale>/<template>.liquid`, loaded and parsed once; one fault refuses all, all are told.

A first line `subject: ...` is the subject of an e-mail. Templates see the parameters of the request, `shop` (the
signature) and `name` (empty unless the message really leaves by e-mail), and the filter `money: currency`. What could
make two renderings differ (the date of today) or read another file is taken out of the language.
"""

from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from liquid import BoundTemplate, Environment, StrictUndefined, Undefined
from liquid.exceptions import LiquidError

from common.contracts.journeys import MessageRequested
from common.presets import Refused
from notifier.domain.money import write_money
from notifier.domain.render import Fill, Params, Template, Text, Unrenderable, render

FOLDER = files("notifier") / "templates"
SUFFIX = ".liquid"
SUBJECT = "subject:"
FIRST_LINE = 1
MONEY = "money"
SHAPES_MAX = 1_000  # remembered verdicts
IMPURE_FILTERS = ("date",)
FILE_TAGS = ("include", "render")


Shape = tuple[str, frozenset[tuple[str, type]]]  # a template, and names and types of parameters


class TemplatesRefused(Refused):
    """Every fault of every template, `file:line: reason`, one to a line."""


class Wording:
    """All templates of all locales."""

    def __init__(self, templates: Mapping[str, Mapping[str, Template]]) -> None:
        self._templates = templates
        named = {name for known in templates.values() for name in known}
        self._plain = {n for n in named if all(n in known and known[n].plain for known in templates.values())}
        self._verdicts: dict[Shape, str | None] = {}

    def render(self, locale: str, template: str, params: Params, shop: str, name: str = "") -> Text:
        """The words in the locale; raises Unrenderable."""
        known = self._templates.get(locale, {})
        if template not in known:
            raise Unrenderable(f"no template {template!r} in {locale}")
        return render(known[template], params, shop, name)

    def check(self, asked: MessageRequested) -> str | None:
        """Why the message cannot be rendered in some locale, or None.

        Of a plain template the names and types of the parameters decide, so each such shape is tried once: rendering
        every message in every locale was a third of all that the decision costs.
        """
        if asked.template not in self._plain:
            return self._try(asked)
        shape = (asked.template, frozenset((name, type(value)) for name, value in asked.params.items()))
        if shape not in self._verdicts:
            if len(self._verdicts) >= SHAPES_MAX:
                self._verdicts.clear()
            self._verdicts[shape] = self._try(asked)
        return self._verdicts[shape]

    def _try(self, asked: MessageRequested) -> str | None:
        try:
            for locale in self._templates:
                self.render(locale, asked.template, asked.params, shop="")
        except Unrenderable as error:
            return str(error)
        return None


@lru_cache(maxsize=1)
def packaged() -> Wording:
    """The templates that come with the product."""
    return load(FOLDER)


def load(folder: Traversable) -> Wording:
    """The templates in a folder of locales; raises TemplatesRefused."""
    environment = _environment()
    faults: list[str] = []
    templates: dict[str, dict[str, Template]] = {}
    for locale in sorted((entry for entry in folder.iterdir() if entry.is_dir()), key=lambda entry: entry.name):
        found = sorted((file for file in locale.iterdir() if file.name.endswith(SUFFIX)), key=lambda file: file.name)
        templates[locale.name] = {
            file.name.removesuffix(SUFFIX): parsed
            for file in found
            if (parsed := _parse(environment, f"{locale.name}/{file.name}", file.read_text("utf-8"), faults))
        }
    everywhere = {name for known in templates.values() for name in known}
    if not faults:  # else a template is missing because of its fault
        missing = [(locale, name) for locale, known in templates.items() for name in sorted(everywhere - known.keys())]
        faults += [f"{locale}/{name}{SUFFIX}:{FIRST_LINE}: is missing" for locale, name in missing]
    if faults or not everywhere:
        raise TemplatesRefused("\n".join(faults) or f"{folder}: no templates")
    return Wording(templates)


def _environment() -> Environment:
    environment = Environment(undefined=StrictUndefined)
    environment.add_filter(MONEY, _money)
    for name in IMPURE_FILTERS:
        del environment.filters[name]
    for name in FILE_TAGS:
        del environment.tags[name]
    return environment


def _parse(environment: Environment, file: str, source: str, faults: list[str]) -> Template | None:
    first, newline, rest = source.partition("\n")
    subject = first.removeprefix(SUBJECT).strip() if first.startswith(SUBJECT) else None
    body = source if subject is None else newline + rest  # the line break keeps the numbers of the lines right
    before = len(faults)
    if not body.strip():
        faults.append(f"{file}:{FIRST_LINE}: says nothing")
    parsed_subject = None if subject is None else _parse_part(environment, file, subject, faults)
    parsed_body = _parse_part(environment, file, body, faults)
    if len(faults) > before or parsed_body is None:
        return None
    subject_fill = None if parsed_subject is None else _fill(file, parsed_subject)
    plain = _is_plain(parsed_body) and (parsed_subject is None or _is_plain(parsed_subject))
    return Template(subject_fill, _fill(file, parsed_body), plain)


def _parse_part(environment: Environment, file: str, source: str, faults: list[str]) -> BoundTemplate | None:
    try:
        parsed = environment.from_string(source, name=file)
    except LiquidError as error:
        token = error.token
        line = FIRST_LINE if token is None else _line(token.source, token.start_index)
        faults.append(f"{file}:{line}: {error.message}")
        return None
    for name, spans in parsed.analyze().filters.items():  # Liquid itself would tell at the first rendering
        if name not in environment.filters:
            faults.extend(f"{file}:{_line(source, span.index)}: unknown filter {name!r}" for span in spans)
    return parsed


def _is_plain(parsed: BoundTemplate) -> bool:
    """Whether no value of a parameter decides if it can be filled: no conditions, no filters but ours."""
    used = parsed.analyze()
    return not used.tags and used.filters.keys() <= {MONEY}


def _line(source: str, index: int) -> int:
    return source.count("\n", 0, index) + FIRST_LINE


def _fill(file: str, parsed: BoundTemplate) -> Fill:
    def fill(known: Mapping[str, object]) -> str:
        try:
            return parsed.render(known)
        except LiquidError as error:
            raise Unrenderable(f"{file}: {error.message}") from None

    return fill


def _money(amount_minor: object, currency: object) -> str:
    """Called by Liquid with whatever a request holds."""
    if isinstance(missing := amount_minor, Undefined) or isinstance(missing := currency, Undefined):
        str(missing)  # raises, with its name
    if type(amount_minor) is not int or not isinstance(currency, str):
        raise Unrenderable("money takes an integer of minor units and a currency")
    return write_money(amount_minor, currency)
