"""One page over HTTP: bounded in time and size, never elsewhere than at the shop's own address, as fast as allowed."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

import httpx

from ingest.reconcile.dialect import MAX_PAUSE_S, Answer, Dialect

TIMEOUT_S = 30.0  # of one try
MAX_PAGE_BYTES = 50_000_000
MAX_WAITS = 3  # for one page, each as long as the platform asks for
USUAL_WAIT_S = 2.0  # where it does not say how long
BUSY = (429, 503)
HERE = ("localhost", "127.0.0.1", "::1")
MAX_URL_CHARS = 500

Sleep = Callable[[float], Awaitable[None]]


class Away(Exception):
    """The platform did not give the page. `after_s`: when it asked us to come again."""

    def __init__(self, reason: str, after_s: float | None = None) -> None:
        super().__init__(reason)
        self.after_s = after_s


def shop_address(text: str) -> str:
    """The address of a shop's REST API as it is kept. Raises ValueError: credentials go out encrypted only, but to
    this machine."""
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        raise ValueError("expected an address such as https://shop.example.com") from None
    if len(text) > MAX_URL_CHARS or not parts.hostname or not re.fullmatch(r"[\x21-\x7e]+", text.strip()):
        raise ValueError("expected an address such as https://shop.example.com")
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in HERE):
        raise ValueError("expected https")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError("expected an address without user, query and fragment")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


class Rest:
    """A shop's REST API, asked with its credential, or with the token that the credential is good for."""

    def __init__(
        self, client: httpx.AsyncClient, dialect: Dialect, shop: str, key: str, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._client, self._dialect, self._shop, self._key, self._sleep = client, dialect, shop, key, sleep
        self._headers: Mapping[str, str] | None = None

    async def page(self, url: str) -> Answer:
        """The page. Waits where the platform asks for a pause; raises Away, in words that repeat nothing of it."""
        if self._headers is None:
            self._headers = {"Accept": "application/json", **self._dialect.headers(await self._token())}
        if origin_of(url) != origin_of(self._shop):
            raise Away("the next page was named at another address than the shop's")
        return await self._answer("GET", url, self._headers)

    async def _token(self) -> str:
        if (exchange := self._dialect.exchange(self._key)) is None:
            return self._key
        answer = await self._answer("POST", self._shop + exchange.path, {"Accept": "application/json"}, exchange.form)
        return exchange.read(answer)

    async def _answer(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None = None
    ) -> Answer:
        for _ in range(MAX_WAITS):
            answer = await self._try(method, url, headers, form)
            if not isinstance(answer, float):
                if pause_s := min(self._dialect.pause_s(answer.headers), MAX_PAUSE_S):
                    await self._sleep(pause_s)
                return answer
            if answer > MAX_PAUSE_S:
                raise Away("asked us to come again later", answer)
            await self._sleep(answer)
        raise Away(f"asked us to wait {MAX_WAITS} times for one page", MAX_PAUSE_S)

    async def _try(
        self, method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str] | None
    ) -> Answer | float:
        """What it answered, or how many seconds to wait for that."""
        try:
            async with (
                asyncio.timeout(TIMEOUT_S),
                self._client.stream(
                    method, url, headers=headers, data=form, follow_redirects=False, timeout=TIMEOUT_S
                ) as response,
            ):
                if response.status_code in BUSY:
                    return _wait_s(response.headers)
                if response.status_code != httpx.codes.OK:
                    raise Away(f"HTTP {response.status_code}")
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > MAX_PAGE_BYTES:
                        raise Away(f"a page of more than {MAX_PAGE_BYTES} bytes")
        except TimeoutError:
            raise Away(f"no answer within {TIMEOUT_S:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Away(f"no answer: {type(error).__name__}") from None
        return Answer(bytes(body), {name.lower(): value for name, value in response.headers.items()})


def origin_of(url: str) -> tuple[str, str | None, int | None]:
    """What makes two addresses the same server."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _wait_s(headers: Mapping[str, str]) -> float:
    said = headers.get("retry-after", "")
    return float(said) if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", said) else USUAL_WAIT_S
