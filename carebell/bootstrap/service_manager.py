"""What a service manager is told: started, reloading, stopping, and at intervals that the service works (`sd_notify`).

The protocol is datagrams of `NAME=value` lines to the socket that `NOTIFY_SOCKET` names; `systemd.service`, `Type=notify`. Without
that variable nothing is sent. Source: sd_notify(3), which shows the same few lines as a program without libsystemd.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class ServiceManager:
    """Attributes:
    address: of its socket; None: there is no service manager, and every call does nothing.
    watchdog: seconds without a sign of life after which it kills the process; None: it waits for none.
    microseconds: the machine's monotonic clock.
    """

    address: str | None = None
    watchdog: float | None = None
    microseconds: Callable[[], int] = field(default=lambda: time.monotonic_ns() // 1000, repr=False)
    _status: str = ""

    @classmethod
    def of(cls, environ: Mapping[str, str], process: int) -> ServiceManager:
        """The one that started this process.

        Args:
            process: this process's id: a variable that names another process's watchdog was inherited.
        """
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            return cls()
        written = environ.get("WATCHDOG_USEC", "")
        is_ours = environ.get("WATCHDOG_PID", str(process)) == str(process)
        watched = is_ours and written.isascii() and written.isdigit() and int(written) > 0
        return cls(address=address, watchdog=int(written) / 1_000_000 if watched else None)

    @property
    def ping_every(self) -> float | None:
        """Seconds between two signs of life: half of what is allowed, as sd_watchdog_enabled(3) advises; None: none is wanted."""
        return None if self.watchdog is None else self.watchdog / 2

    def ready(self, status: str) -> None:
        """Started, or a reload is over. `status` is the line that `systemctl status` shows."""
        self._status = status
        self._send("READY=1", f"STATUS={status}")

    def reloading(self) -> None:
        self._send("RELOADING=1", f"MONOTONIC_USEC={self.microseconds()}", "STATUS=Reading the configuration again")

    def reloaded(self) -> None:
        """A reload is over, well or not."""
        self.ready(self._status)

    def stopping(self) -> None:
        self._send("STOPPING=1", "STATUS=Finishing what is in flight")

    def alive(self) -> None:
        """A sign of life."""
        self._send("WATCHDOG=1")

    def _send(self, *lines: str) -> None:
        if self.address is None:
            return
        address = "\0" + self.address[1:] if self.address.startswith("@") else self.address
        # What it does not hear it acts on by itself: a start that times out, a watchdog that fires. Nothing here can mend that.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), address)
