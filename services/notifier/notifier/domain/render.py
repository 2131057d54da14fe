"""A message's words from its template and its parameters."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

Fill = Callable[[Mapping[str, object]], str]  # a parsed template; raises Unrenderable
Params = Mapping[str, str | int]


class Unrenderable(Exception):
    """The template cannot be filled with these parameters, or there is none; the message says why."""


@dataclass(frozen=True, slots=True)
class Template:
    """`subject` is the one line that an e-mail has on top; a template without one is for the other channels."""

    subject: Fill | None
    body: Fill
    plain: bool  # whether names and types of the parameters alone decide if it can be filled


@dataclass(frozen=True, slots=True)
class Text:
    """What a person reads: paragraphs with an empty line between them, and the subject of an e-mail."""

    subject: str | None
    body: str


def render(template: Template, params: Params, shop: str, name: str = "") -> Text:
    """The words. `shop` and `name` (empty where no name may be used) are known to every template."""
    known = {**params, "shop": shop, "name": name}
    subject = None if template.subject is None else " ".join(template.subject(known).split())
    return Text(subject, template.body(known).strip())


def sms_text(text: Text, signature: str) -> str:
    """An SMS: the shop's signature in full-width brackets, then everything on one line."""
    return f"【{signature}】{' '.join(text.body.split())}"
