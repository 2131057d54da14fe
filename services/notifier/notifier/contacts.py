"""Asks ingest's vault, the one room of personal data, for the addresses of those who are about to be written to."""

from collections.abc import Mapping, Sequence

import httpx
import msgspec
from pydantic import SecretStr

PATH = "/internal/vault/contacts"
TIMEOUT_S = 5.0
FIELDS = ("phone", "email", "name")

Contact = Mapping[str, str]  # field -> value, of the fields the vault has
_ANSWER = msgspec.json.Decoder(dict[str, dict[str, str]])
NOBODY: Contact = {}


class VaultAway(Exception):
    """The vault gave no answer; asking again later may work. The message names nobody."""


class Contacts:
    """The vault as seen from outside. `client` has ingest's address as its base."""

    def __init__(self, client: httpx.AsyncClient, internal_key: SecretStr) -> None:
        self._client = client
        self._headers = {"X-API-Key": internal_key.get_secret_value()}

    async def of(self, shop_id: str, customer_ids: Sequence[str], fields: Sequence[str]) -> Mapping[str, Contact]:
        """The fields of those of the shop's customers (at most 1,000) that the vault knows. Raises VaultAway."""
        wanted = {"shop_id": shop_id, "customer_ids": list(customer_ids), "fields": list(fields)}
        try:
            answer = await self._client.post(PATH, json=wanted, headers=self._headers, timeout=TIMEOUT_S)
            answer.raise_for_status()
            return _ANSWER.decode(answer.content)
        except httpx.HTTPStatusError as error:
            raise VaultAway(f"the vault answered {error.response.status_code}") from None
        except httpx.HTTPError as error:
            raise VaultAway(f"the vault cannot be reached: {type(error).__name__}") from None
        except msgspec.MsgspecError:
            raise VaultAway("the vault's answer makes no sense") from None
