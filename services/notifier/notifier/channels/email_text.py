"""An e-mail as it goes over the wire: a text part, and the same words as plain tables, which every reader can show."""

from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from html import escape

from common.ids import derived_id
from notifier.channels.port import Outgoing

# Tables and attributes, no div and no style sheet: what mail programs of all ages agree on.
HTML = """<!DOCTYPE html>
<html lang="{locale}"><head><meta charset="utf-8"><title>{subject}</title></head>
<body bgcolor="#f4f4f2">
<table width="100%" cellpadding="0" cellspacing="0" border="0" bgcolor="#f4f4f2"><tr><td align="center">
<table width="600" cellpadding="24" cellspacing="0" border="0" bgcolor="#ffffff">
<tr><td><font face="Arial, sans-serif" size="4" color="#1f2933"><b>{subject}</b></font></td></tr>
{rows}
</table></td></tr></table>
</body></html>
"""
SEVEN_BIT = SMTP.clone(cte_type="7bit")  # passes every server
ROW = '<tr><td><font face="Arial, sans-serif" size="3" color="#1f2933">{paragraph}</font></td></tr>'


class BadAddress(Exception):
    """The address is none that mail can be sent to."""


def compose(message: Outgoing, mail_from: str) -> EmailMessage:
    """The e-mail; its Message-ID comes from the key, so that whoever gets it twice can tell. Raises BadAddress."""
    sender_name, sender = parseaddr(mail_from)
    subject = message.text.subject or ""
    email = EmailMessage(policy=SEVEN_BIT)
    try:
        email["From"] = Address(display_name=sender_name, addr_spec=sender)
        email["To"] = Address(display_name=" ".join(message.name.split()), addr_spec=message.to.strip())
    except (MessageError, ValueError, IndexError):  # the last one is the parser's own answer to some nonsense
        raise BadAddress from None
    email["Subject"] = subject
    email["Date"] = message.at
    domain = sender.rpartition("@")[2]
    email["Message-ID"] = f"<{derived_id(message.shop_id, message.customer_id, message.message_key)}@{domain}>"
    email["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday notes in answer
    email["Content-Language"] = message.locale
    email.set_content(message.text.body + "\n")
    email.add_alternative(as_html(subject, message.text.body, message.locale), subtype="html")
    return email


def as_html(subject: str, body: str, locale: str) -> str:
    """The words in tables, escaped; a line break stays one."""
    paragraphs = [escape(part.strip()).replace("\n", "<br>") for part in body.split("\n\n") if part.strip()]
    rows = "\n".join(ROW.format(paragraph=paragraph) for paragraph in paragraphs)
    return HTML.format(locale=escape(locale), subject=escape(subject), rows=rows)
