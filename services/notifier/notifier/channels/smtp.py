"""E-mail by SMTP: a few connections at a time, each reply read for what it says about the message.

Only the reply's code and its enhanced status (RFC 3463) are passed on: servers like to repeat the address in the text.
"""

import asyncio
import re
import time
from collections.abc import Sequence
from email.utils import parseaddr
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPNotSupported, SMTPRecipientsRefused, SMTPResponseException

from notifier.channels.email_text import BadAddress, compose
from notifier.channels.port import Away, Deferred, Outcome, Outgoing, Refused, Sent

CONNECTIONS_MAX = 8
# Together these stay below the sender's lease: a connection, the last message begun, and that one's end.
CONNECT_S = 15.0
BEGIN_WITHIN_S = 50.0
MESSAGE_S = 20.0
COMMAND_S = 10.0
PERMANENT = 500  # replies from here on are for good (RFC 5321, 4.2.1), those from 400 for now
TEMPORARY = 400
NOT_LOGGED_IN = (530, 534, 535, 538)  # RFC 4954, 6: about us, not about the message
ENHANCED_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")

Numbered = list[tuple[int, Outgoing]]  # with their places in the answer


class Smtp:
    """See port.Channel. Plain connections become TLS where the server offers it; certificates are checked."""

    def __init__(self, url: str, mail_from: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._tls = parts.hostname, parts.port, parts.scheme == "smtps"
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._mail_from = mail_from
        self._sender = parseaddr(mail_from)[1]

    async def send(self, messages: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Deals the messages out to connections that work at the same time."""
        outcomes: dict[int, Outcome] = {}
        numbered = list(enumerate(messages))
        until_s = time.monotonic() + BEGIN_WITHIN_S
        async with asyncio.TaskGroup() as tasks:
            for first in range(min(CONNECTIONS_MAX, len(numbered))):
                tasks.create_task(self._send_in_turn(numbered[first::CONNECTIONS_MAX], outcomes, until_s))
        return [outcomes[number] for number in range(len(numbered))]

    async def _send_in_turn(self, messages: Numbered, outcomes: dict[int, Outcome], until_s: float) -> None:
        """One connection's share. When the connection is lost, what was not begun waits for the next time."""
        client = self._client()
        lost: Away | None = None
        try:
            async with asyncio.timeout(CONNECT_S):
                await client.connect()
        except (SMTPException, OSError, TimeoutError) as error:
            lost = Away(f"the mail server cannot be reached: {_what(error)}")
        try:
            for number, message in messages:
                if lost is None and time.monotonic() > until_s:
                    lost = Away("the mail server is too slow")
                if lost is not None:
                    outcomes[number] = lost
                    continue
                outcomes[number] = await self._send_one(client, message)
                if not client.is_connected:
                    lost = Away("the mail server has hung up")
        finally:
            client.close()  # without QUIT: every reply that matters has been read

    def _client(self) -> SMTP:
        return SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            timeout=COMMAND_S,
        )

    async def _send_one(self, client: SMTP, message: Outgoing) -> Outcome:
        try:
            letter = compose(message, self._mail_from)
        except BadAddress:
            return Refused("the address is malformed")
        except Exception as error:  # noqa: BLE001 - of this message alone, and it has not left
            return Refused(f"no e-mail can be made of it: {type(error).__name__}")
        try:
            async with asyncio.timeout(MESSAGE_S):
                await client.send_message(letter, sender=self._sender, recipients=[message.to.strip()])
        except SMTPRecipientsRefused as error:
            return _refusal(error.recipients[0])
        except SMTPResponseException as error:
            return _refusal(error)
        except (ValueError, SMTPNotSupported):  # not an address for this server
            return Refused("the address is malformed")
        except Exception as error:  # noqa: BLE001 - a lost connection, mostly; the other messages go on
            client.close()
            return Deferred(f"the mail server did not answer: {_what(error)}", in_doubt=True)
        return Sent()


def _refusal(error: SMTPResponseException) -> Outcome:
    if error.code in NOT_LOGGED_IN:
        return Away(f"the mail server wants another login: {_what(error)}")
    if error.code >= PERMANENT:
        return Refused(_what(error))
    # A code that is no refusal (aiosmtplib's -1: not even a reply) leaves open what the server did.
    return Deferred(_what(error), in_doubt=error.code < TEMPORARY)


def _what(error: Exception) -> str:
    if not isinstance(error, SMTPResponseException):
        return type(error).__name__
    status = ENHANCED_STATUS.search(error.message)
    return f"SMTP {error.code}" + (f" {status.group()}" if status else "")
