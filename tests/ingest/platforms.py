"""Two platforms' REST APIs on local ports, with orders that change, pages, a limit that is reached, and outages."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN, APP, CONSUMER = "shpat_0123456789", "client-id:shpss_0123456789", "ck_0123456789:cs_0123456789"
Answer = tuple[int, dict[str, str], bytes]


class Platform:
    """A shop as its REST API shows it. `faults` come before its first answers,
    one each: another answer, what happens before the answer, or nothing."""

    def __init__(self, kind: str, page_size: int = 3) -> None:
        self.kind, self.page_size = kind, page_size
        self.orders: dict[int, dict[str, Any]] = {}
        self.customers: dict[int, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.forms: list[bytes] = []
        self.faults: list[Answer | Callable[[], Any] | None] = []
        self.url = ""

    def order(self, number: int, changed_at: datetime, **more: Any) -> dict[str, Any]:
        """Makes or changes an order; gives its body, as a webhook would carry it."""
        at = changed_at.astimezone(UTC)
        if self.kind == "shopify":
            body = {
                "id": number, "currency": "CNY", "total_price": "29.35", "financial_status": "pending",
                "created_at": at.isoformat(), "customer": {"id": 7, "email": "ann@example.com"},
            }  # fmt: skip
            named = {"updated_at": at.isoformat()}
        else:
            body = {
                "id": number, "status": "pending", "currency": "CNY", "total": "29.35", "customer_id": 7,
                "date_created_gmt": f"{at:%Y-%m-%dT%H:%M:%S}", "billing": {"email": "ann@example.com"},
            }  # fmt: skip
            named = {"date_modified_gmt": f"{at:%Y-%m-%dT%H:%M:%S}"}
        self.orders[number] = body | self.orders.get(number, {}) | more | named
        return self.orders[number]

    async def answer(self, target: str, headers: dict[str, str]) -> Answer:
        """What the API says."""
        self.asked.append(target)
        if self.faults and (fault := self.faults.pop(0)) is not None:
            if isinstance(fault, tuple):
                return fault
            await fault()
        path, query = urlsplit(target).path, {k: v[0] for k, v in parse_qs(urlsplit(target).query).items()}
        if path == "/admin/oauth/access_token":
            return 200, {}, json.dumps({"access_token": TOKEN, "scope": "read_orders", "expires_in": 86399}).encode()
        if not self._may(headers):
            return 401, {}, b"{}"
        return self._shopify(path, query) if self.kind == "shopify" else self._woocommerce(query)

    def _may(self, headers: dict[str, str]) -> bool:
        if self.kind == "shopify":
            return headers.get("x-shopify-access-token") == TOKEN
        return headers.get("authorization") == f"Basic {b64encode(CONSUMER.encode()).decode()}"

    def _shopify(self, path: str, query: dict[str, str]) -> Answer:
        resource = path.rpartition("/")[2].removesuffix(".json")
        held = self.orders if resource == "orders" else self.customers
        if (page := query.get("page_info")) is None:
            assert resource == "customers" or query["status"] == "any"
            first, since = "", datetime.fromisoformat(query["updated_at_min"])
        else:
            assert "updated_at_min" not in query, "Shopify takes no filter beside a page's name"
            first, _, at = page.partition("~")
            since = datetime.fromisoformat(at)
        rows = sorted(
            (row for row in held.values() if datetime.fromisoformat(row["updated_at"]) >= since), key=_shopify_place
        )
        rows = [row for row in rows if _shopify_place(row) > first]
        shown, headers = rows[: self.page_size], {"X-Shopify-Shop-Api-Call-Limit": "1/40"}
        if len(rows) > len(shown):
            at = since.isoformat().replace("+", "%2B")
            named = f"{self.url}{path}?limit=250&page_info={_shopify_place(shown[-1]).replace('+', '%2B')}~{at}"
            headers["Link"] = f'<{self.url}{path}?page_info=x>; rel="previous", <{named}>; rel="next"'
        return 200, headers, json.dumps({resource: shown}).encode()

    def _woocommerce(self, query: dict[str, str]) -> Answer:
        assert (query["orderby"], query["order"], query["dates_are_gmt"]) == ("modified", "asc", "true")
        rows = sorted(
            (row for row in self.orders.values() if row["date_modified_gmt"] > query["modified_after"]),
            key=lambda row: (row["date_modified_gmt"], row["id"]),
        )
        first = (int(query["page"]) - 1) * self.page_size
        pages = -(-len(rows) // self.page_size)
        return 200, {"X-WP-TotalPages": str(pages)}, json.dumps(rows[first : first + self.page_size]).encode()


def _shopify_place(row: dict[str, Any]) -> str:
    """Where it stands in the list: by its time, then by its number."""
    return f"{datetime.fromisoformat(row['updated_at']).astimezone(UTC).isoformat()}_{row['id']:020}"


@asynccontextmanager
async def served(platform: Platform) -> AsyncIterator[Platform]:
    """The platform behind a port of its own."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await reader.readuntil(b"\r\n\r\n")) != b"":
                first, *rest = head.decode("latin-1").rstrip().split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
                platform.forms.append(await reader.readexactly(int(headers.get("content-length", "0"))))
                status, named, body = await platform.answer(first.split(" ")[1], headers)
                told = "".join(f"{name}: {value}\r\n" for name, value in named.items())
                writer.write(f"HTTP/1.1 {status} x\r\n{told}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the caller has gone
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    platform.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield platform
    finally:
        server.close()


def minutes(count: float) -> timedelta:
    """So many minutes."""
    return timedelta(minutes=count)
