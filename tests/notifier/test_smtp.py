"""E-mail against a real SMTP server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from notifier.channels.port import Away, Deferred, Outgoing, Refused, Sent
from notifier.channels.smtp import Smtp
from notifier.domain.render import Text
from tests.notifier.conftest import NOON, Notifier, gift

FROM = "小店 <shop@shop.example>"
MESSAGE = Outgoing(
    "shop", "ann", "k1", "email", "ann@example.com", "安", Text("礼物", "安，您好"), Text("礼物", "您好"), "zh-CN", NOON
)


@dataclass
class Post:
    """A mail server that answers as it is told, and what it took."""

    port: int = 0
    at_rcpt: list[str] = field(default_factory=list)  # answers before it goes back to 250
    at_data: list[str] = field(default_factory=list)
    hang_up: bool = False
    got: list[EmailMessage] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.at_rcpt:
            return self.at_rcpt.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.hang_up:
            assert server.transport is not None
            server.transport.close()
        if self.at_data:
            return self.at_data.pop(0)
        assert isinstance(envelope.content, bytes)
        self.got.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    @property
    def channel(self) -> Smtp:
        """A way to it."""
        return Smtp(f"smtp://127.0.0.1:{self.port}", FROM)


@pytest.fixture
async def post() -> AsyncIterator[Post]:
    """A server on a free port."""
    post = Post()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(post, hostname="localhost", loop=loop), "127.0.0.1", 0)
    post.port = server.sockets[0].getsockname()[1]
    yield post
    server.close()


async def test_a_letter_arrives(post: Post) -> None:
    assert await post.channel.send([MESSAGE]) == [Sent()]
    (letter,) = post.got
    assert letter["Subject"] == "礼物"
    assert letter["To"] == "安 <ann@example.com>"
    text = letter.get_body(("plain",))
    assert text is not None
    assert text.get_content().strip() == "安，您好"


async def test_many_letters_each_with_its_own_answer(post: Post) -> None:
    messages = [replace(MESSAGE, message_key=f"k{n}", to=f"c{n}@example.com") for n in range(50)]
    messages[7] = replace(messages[7], to="nonsense")
    outcomes = await post.channel.send(messages)
    assert outcomes[7] == Refused("the address is malformed")
    assert [number for number, outcome in enumerate(outcomes) if outcome != Sent()] == [7]
    assert len({letter["Message-ID"] for letter in post.got}) == 49


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("550 5.1.1 <ann@example.com>: no such person", Refused("SMTP 550 5.1.1")),
        ("554 ann@example.com is not wanted", Refused("SMTP 554")),
        ("451 4.7.1 ann@example.com, come again", Deferred("SMTP 451 4.7.1")),
        ("452 full", Deferred("SMTP 452")),
        ("530 5.7.0 Authentication required", Away("the mail server wants another login: SMTP 530 5.7.0")),
    ],
)
async def test_a_refusal_is_told_without_the_address(post: Post, answer: str, outcome: object) -> None:
    post.at_rcpt = [answer]
    assert await post.channel.send([MESSAGE]) == [outcome]
    post.at_data = [answer]
    assert await post.channel.send([MESSAGE]) == [outcome]
    assert post.got == []


async def test_a_refused_letter_does_not_hold_up_the_next(post: Post) -> None:
    post.at_rcpt = ["550 no"] * 8  # the first on each connection
    outcomes = await post.channel.send([replace(MESSAGE, message_key=f"k{n}") for n in range(16)])
    assert sorted(str(outcome) for outcome in outcomes) == ["Refused(reason='SMTP 550')"] * 8 + ["Sent()"] * 8


async def test_a_server_that_hangs_up_leaves_doubt_about_one_letter_per_connection(post: Post) -> None:
    post.hang_up = True
    outcomes = await post.channel.send([replace(MESSAGE, message_key=f"k{n}") for n in range(16)])
    in_doubt = [outcome for outcome in outcomes if isinstance(outcome, Deferred) and outcome.in_doubt]
    unsent = [outcome for outcome in outcomes if outcome == Away("the mail server has hung up")]
    assert (len(in_doubt), len(unsent)) == (8, 8)


async def test_no_server_no_doubt() -> None:
    (outcome,) = await Smtp("smtp://127.0.0.1:1", FROM).send([MESSAGE])
    assert outcome == Away("the mail server cannot be reached: SMTPConnectError")


async def test_a_wrong_password_is_held_against_no_message(post: Post) -> None:
    (outcome,) = await Smtp(f"smtp://shop:wrong@127.0.0.1:{post.port}", FROM).send([MESSAGE])
    assert isinstance(outcome, Away)


async def test_a_message_no_e_mail_can_be_made_of_does_not_hold_up_the_next(post: Post) -> None:
    broken = replace(MESSAGE, message_key="k2", text=Text("礼物", "\ud800"))
    assert await post.channel.send([broken, MESSAGE]) == [
        Refused("no e-mail can be made of it: UnicodeEncodeError"),
        Sent(),
    ]


async def test_now_no_then_yes(notifier: Notifier, post: Post) -> None:
    post.at_data = ["451 later"]
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    sender = notifier.sender(smtp=post.channel)
    await sender.round()
    assert await notifier.rows("status, reason") == [("pending", "SMTP 451")]
    assert await notifier.rows("id", "mailbox") == []
    await notifier.pool.execute("UPDATE messages SET due_at = now()")
    await sender.round()
    assert await notifier.rows("status, reason, tries") == [("sent", None, 2)]
    assert len(post.got) == 1
    assert len(await notifier.rows("id", "mailbox")) == 1


async def test_never(notifier: Notifier, post: Post) -> None:
    post.at_rcpt = ["550 5.1.1 <ann@example.com> unknown"]
    await notifier.ask(gift("k1"))
    await notifier.waiting(1)
    await notifier.sender(smtp=post.channel).round()
    assert await notifier.rows("status, reason") == [("failed", "SMTP 550 5.1.1")]
    assert await notifier.rows("id", "mailbox") == []


async def test_sent_again_after_a_crash_it_is_the_same_letter(notifier: Notifier, post: Post) -> None:
    await notifier.ask(gift("k1", purpose="transactional"))
    await notifier.waiting(1)
    await notifier.sender(smtp=post.channel).round()
    await notifier.pool.execute("UPDATE messages SET status = 'pending', sent_at = NULL")
    await notifier.sender(smtp=post.channel).round()
    assert len(post.got) == 2
    assert post.got[0]["Message-ID"] == post.got[1]["Message-ID"]
    assert len(await notifier.rows("id", "mailbox")) == 1
