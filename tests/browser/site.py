"""A portal as staff meet it: a whole service with its staff's door, on a free port of loopback, whose clock the test moves.

The service runs in a thread with a loop of its own, since playwright's has the test's thread.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from carebell.bootstrap.doors import Door
from carebell.staff.door import StaffDoor
from notifier.gateway import Gateway
from portal.roles import Role
from store import sessions, users
from store.sessions import SessionStage, StoredSession
from store.tokens import key_of
from store.users import User
from tests.browser.clinic_week import NOW, Carrier
from tests.story.clinic import Clinic, opened

Value = TypeVar("Value")

PEOPLE: Final = {
    "kim": ("Kim Akers", Role.ADMINISTRATOR, ()),
    "lee": ("Lee Gu", Role.ADMINISTRATOR, ()),
    "dana": ("Dana Bright", Role.ANALYST, ("production", "test")),
    "sam": ("Sam Rivera", Role.SUPPORT, ()),
    "avery": ("Avery Howard", Role.AUDITOR, ()),
}
"""User name -> name, role, own environments."""


@dataclass(slots=True)
class Site:
    """Attributes:
    url: of the portal, such as http://127.0.0.1:41257.
    clinic: the service and its clock.
    """

    url: str
    clinic: Clinic
    loop: asyncio.AbstractEventLoop
    tokens: int = 0

    @property
    def folder(self) -> Path:
        return self.clinic.folder

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        """Run something of the service's on its own loop, and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(120)

    def add_people(self, surname: str = "") -> None:
        """Everybody of PEOPLE, without passwords: see `session`. `surname`: stands behind every name."""
        with self.clinic.service.store.write() as conn:
            for login, (name, role, environments) in PEOPLE.items():
                users.add(
                    conn,
                    User(
                        id=f"id-{login}",
                        login=login,
                        name=f"{name} {surname}".strip(),
                        role=role.value,
                        environments=environments,
                        created_at=NOW - timedelta(days=20),
                        last_sign_in_at=NOW - timedelta(hours=3),
                    ),
                )

    def session(self, login: str) -> str:
        """A new session of somebody who has just signed in and proved it; the token of its cookie."""
        self.tokens += 1
        token, now = f"{self.tokens:064x}", self.clinic.clock.now()
        with self.clinic.service.store.write() as conn:
            sessions.add(
                conn,
                StoredSession(
                    key=key_of(token),
                    user_id=f"id-{login}",
                    stage=SessionStage.OPEN,
                    created_at=now,
                    seen_at=now,
                    ends_at=now + timedelta(hours=12),
                    confirmed_at=now,
                    address="127.0.0.1",
                    browser="Firefox on Debian",
                ),
            )
        return token


@contextmanager
def serving(
    configuration: Path,
    *,
    at: datetime = NOW,
    gateway: Gateway | None = None,
    surname: str = "",
    doors: Sequence[Door] = (),
    **more: Any,
) -> Iterator[Site]:
    """A started service with its portal, and everybody of PEOPLE.

    Args:
        at: where its clock stands.
        doors: beside the staff's.
        more: see `tests.story.clinic.opened`.
    """
    started: Future[Site] = Future()
    ended = threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(configuration, at, gateway or Carrier(), doors, more, started, ended)),
        name="portal",
    )
    thread.start()
    try:
        site = started.result(120)
        site.add_people(surname)
        yield site
    finally:
        ended.set()
        thread.join()


async def _serve(
    configuration: Path,
    at: datetime,
    gateway: Gateway,
    doors: Sequence[Door],
    more: dict[str, Any],
    started: Future[Site],
    ended: threading.Event,
) -> None:
    try:
        every_door = [StaffDoor(), *doors]
        async with opened(configuration, at=at, gateway=gateway, doors=every_door, alone=False, **more) as clinic:
            host, port = clinic.service.addresses["portal"]
            started.set_result(Site(url=f"http://{host}:{port}", clinic=clinic, loop=asyncio.get_running_loop()))
            await asyncio.to_thread(ended.wait)
    except BaseException as error:
        if started.done():
            raise
        started.set_exception(error)


def free_port() -> int:
    """For what must know its address before it listens, as the patients' pages: it stands in `join.public_url`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(happened: Callable[[], bool]) -> None:
    """Wait for what another thread does; it fails by the test's own time-out."""
    pause = threading.Event()
    while not happened():
        pause.wait(0.02)
