"""Ask the system's resolver for a host's addresses, once and with a deadline.

`getaddrinfo` knows no time-out and cannot be stopped, so it runs on a thread of its own, which is left behind if it is late.
"""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from oauth.addresses import IpAddress

Resolver = Callable[[str, float], Sequence[IpAddress]]
"""(host, seconds) -> its addresses, in the order in which they should be tried; none: the name is not known. It raises
TimeoutError if that takes longer."""


def resolve(host: str, seconds: float) -> Sequence[IpAddress]:
    """The addresses of `host` as the system knows them; none: the name is not known.

    Raises:
        TimeoutError: the system did not answer in time.
    """
    answers: queue.SimpleQueue[Sequence[IpAddress]] = queue.SimpleQueue()
    threading.Thread(target=lambda: answers.put(_ask(host)), name="resolver", daemon=True).start()
    try:
        return answers.get(timeout=max(seconds, 0))
    except queue.Empty:
        raise TimeoutError("the resolver was late") from None


def _ask(host: str) -> Sequence[IpAddress]:
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(ip_address(row[4][0]) for row in rows))
    except (OSError, UnicodeError, ValueError):
        return ()
