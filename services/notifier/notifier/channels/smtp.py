"""E-mail by SMTP: a few connections at a time, each reply read for what it says about the message.

Only the reply's code and its enhanced status (RFC 3463) are passed on: servers like to repeat the address in the text.
"""

import asyncio
import re
from collections.abc import Sequence
from email.utils import parseaddr
from itertools import batched  # type: ignore[attr-defined]
from urllib.parse import unquote, urlsplit
