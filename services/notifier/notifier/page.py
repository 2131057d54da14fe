"""The mailbox as a page for the eye. The key comes once, by form or address, and then stays in a cookie."""

from collections.abc import Mapping
from html import escape
from typing import Annotated
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

import asyncpg
from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from common.shops import Shop
from common.web.auth import Caller, KeyRing
from common.web.paging import Cursor, Page, RowId, decode_cursor
from notifier import queries
from notifier.domain.sms import length_of

PATH = "/mailbox"
COOKIE = "regulars_mailbox"
MESSAGES_ON_PAGE = 50
KEY_MAX_CHARS = 200
FORM_MAX_BYTES = 2_000
# Nothing is loaded from anywhere, nothing runs, nothing is kept, nobody is told where a reader came from.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
WORDS = {
    "en": {"title": "Mailbox", "sms": "SMS", "email": "E-mail", "parts": "parts", "units": "units", "older": "Older",
           "empty": "Nothing has been sent yet."},
    "zh-CN": {"title": "信箱", "sms": "短信", "email": "邮件", "parts": "条", "units": "字", "older": "更早",
              "empty": "还没有发出任何消息。"},
}  # fmt: skip
# Before the key is known, nobody knows the shop's language.
FORM = {"key": "API key (scope: read)", "open": "Open 打开",
        "wrong": "This key is unknown, revoked, or may not read. 此 key 无效、已撤销或没有读取权限。"}  # fmt: skip
STYLE = """
:root { color-scheme: light dark; --ink: #1f2933; --soft: #66727f; --paper: #fff; --desk: #f4f4f2; --mark: #0b6e4f; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ec; --soft: #98a3ae; --paper: #1d2329; --desk: #13171b; --mark: #5fc9a0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--desk); color: var(--ink); font: 16px/1.55 system-ui, "PingFang SC", sans-serif; }
main { max-width: 44rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.4rem; margin: 0 0 1.2rem; } h1 small { color: var(--soft); font-weight: 400; }
article { background: var(--paper); border-radius: 10px; padding: 1rem 1.2rem; margin: 0 0 .8rem; }
header { display: flex; flex-wrap: wrap; gap: .2rem .8rem; color: var(--soft); font-size: .85rem; }
header b { color: var(--mark); } header time { margin-left: auto; }
h2 { font-size: 1rem; margin: .6rem 0 0; } p { margin: .5rem 0 0; white-space: pre-wrap; overflow-wrap: anywhere; }
footer { color: var(--soft); font-size: .8rem; margin-top: .6rem; overflow-wrap: anywhere; }
form { display: flex; gap: .5rem; } a { color: var(--mark); }
input { flex: 1; padding: .6rem; border: 1px solid var(--soft); border-radius: 8px; font: inherit;
  background: var(--paper); color: inherit; }
button { padding: .6rem 1.1rem; border: 0; border-radius: 8px; background: var(--mark); color: var(--paper);
  font: inherit; }
"""


def page(pool: asyncpg.Pool, shops: Mapping[str, Shop]) -> APIRouter:
    """The page and its way in."""
    routes = APIRouter(include_in_schema=False)

    @routes.get(PATH)
    async def show(
        request: Request, key: Annotated[str | None, Query(max_length=KEY_MAX_CHARS)] = None, cursor: Cursor = None
    ) -> Response:
        """With `?key=`: takes the key out of the address bar. With the cookie: the messages. Else: the form."""
        if key is not None:
            return await _enter(request, key)
        held = request.cookies.get(COOKIE, "")
        caller = await _reader(request, held)
        if caller is None:
            return _form(wrong=bool(held))
        (before,) = decode_cursor(cursor, RowId) or (None,)
        async with pool.acquire() as connection:
            rows = await queries.mailbox(connection, caller.shop_id, before, MESSAGES_ON_PAGE + 1)
        newest = Page.of(rows, MESSAGES_ON_PAGE, key=lambda row: (row.id,))
        shop = shops.get(caller.shop_id)
        zone, locale = (ZoneInfo(shop.zone), shop.locale) if shop else (ZoneInfo("UTC"), "en")
        words = WORDS[locale]
        parts = [_article(kept, zone, words) for kept in newest.items]
        if newest.next is not None:
            parts.append(f'<p><a href="{PATH}?cursor={escape(newest.next)}">{words["older"]} →</a></p>')
        inside = "\n".join(parts) or f"<p>{words['empty']}</p>"
        return _page(locale, f"{words['title']} <small>{escape(caller.shop_id)}</small>", inside, 200)

    @routes.post(PATH)
    async def enter(request: Request) -> Response:
        """The form's way in: so the key was never in an address."""
        body = (await request.body())[:FORM_MAX_BYTES]
        return await _enter(request, parse_qs(body.decode("utf-8", "replace")).get("key", [""])[0].strip())

    return routes


async def _reader(request: Request, key: str) -> Caller | None:
    ring: KeyRing = request.app.state.key_ring
    caller = await ring.caller(key) if key else None
    return caller if caller is not None and caller.may("read") else None


async def _enter(request: Request, key: str) -> Response:
    if await _reader(request, key) is None:
        return _form(wrong=True)
    answer = RedirectResponse(PATH, status_code=303, headers=HEADERS)
    secure = request.url.scheme == "https"
    answer.set_cookie(COOKIE, key, path=PATH, httponly=True, samesite="strict", secure=secure)
    return answer


def _form(*, wrong: bool) -> Response:
    fault = f"<p>{FORM['wrong']}</p>" if wrong else ""
    inside = f"""<form method="post" action="{PATH}">
<input name="key" type="password" autocomplete="off" placeholder="{FORM["key"]}" required autofocus>
<button>{FORM["open"]}</button></form>{fault}"""
    return _page("en", " · ".join(words["title"] for words in WORDS.values()), inside, 401)


def _article(kept: queries.Kept, zone: ZoneInfo, words: Mapping[str, str]) -> str:
    subject = f"<h2>{escape(kept.subject)}</h2>" if kept.subject else ""
    billed = ""
    if kept.channel == "sms":
        length = length_of(kept.body)
        billed = f" · {length.encoding} · {length.units} {words['units']} · {length.parts} {words['parts']}"
    at = kept.at.astimezone(zone)
    return f"""<article><header><b>{escape(words.get(kept.channel, kept.channel))}</b>
<span>{escape(kept.to_masked)}</span><time datetime="{at.isoformat()}">{at:%Y-%m-%d %H:%M:%S}</time></header>
{subject}<p>{escape(kept.body)}</p>
<footer>{escape(kept.customer_id)} · {escape(kept.message_key)}{billed}</footer></article>"""


def _page(locale: str, title: str, inside: str, status: int) -> Response:
    return HTMLResponse(
        f"""<!DOCTYPE html>
<html lang="{locale}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Regulars · {WORDS[locale]["title"]}</title><style>{STYLE}</style></head>
<body><main><h1>{title}</h1>
{inside}
</main></body></html>
""",
        status_code=status,
        headers=HEADERS,
    )
