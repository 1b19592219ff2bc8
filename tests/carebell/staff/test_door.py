"""The staff's door at the end of a service: a page under way finishes before the database closes, and a stuck one keeps nobody."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from pathlib import Path

import pytest
import requests

import portal.server
from carebell.staff import door
from carebell.staff.door import StaffDoor
from portal.page_request import Answer, PageRequest, PlainText
from portal.route_table import Page
from store.engine import Store
from tests.story.clinic import PATIENCE, opened
from tests.story.folder import make


class SlowPage:
    """A page whose handler is under way when the service ends, and which then looks whether the database is still there."""

    def __init__(self) -> None:
        self.begun, self.closed, self.may_end = threading.Event(), threading.Event(), threading.Event()
        self.found: list[str] = []

    def handler(self, request: PageRequest) -> Answer:
        self.begun.set()
        self.may_end.wait(PATIENCE)
        # half a second in which a database that does not wait is gone
        self.found.append("closed under it" if self.closed.wait(0.5) else "open to its end")
        return PlainText(text="")

    def pages(self) -> tuple[Page, ...]:
        return (Page(name="Slow", path="/slow", signed_in=False, handler=self.handler),)

    def ask(self, address: tuple[str, int]) -> threading.Thread:
        """Somebody asks for it; it has begun when this returns."""

        def run() -> None:
            with requests.Session() as session, suppress(requests.RequestException):
                session.trust_env = False
                session.get(f"http://{address[0]}:{address[1]}/slow", timeout=PATIENCE)

        asking = threading.Thread(target=run)
        asking.start()
        assert self.begun.wait(PATIENCE)
        return asking


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> SlowPage:
    """The only page; nobody waits for its answer at the end."""
    page = SlowPage()
    close = Store.close

    def marked_close(store: Store) -> None:
        page.closed.set()
        close(store)

    monkeypatch.setattr(Store, "close", marked_close)
    monkeypatch.setattr(door, "all_pages", lambda _desks: page.pages())
    monkeypatch.setattr(portal.server, "GRACE_SECONDS", 0)
    return page


async def test_a_handler_under_way_ends_before_the_database_closes(tmp_path: Path, slow: SlowPage) -> None:
    path = make(tmp_path, {"portal": {"enabled": True, "port": 0}})
    async with opened(path, doors=[StaffDoor(patience=PATIENCE)]) as clinic:
        asking = await asyncio.to_thread(slow.ask, clinic.service.addresses["portal"])
        slow.may_end.set()
    await asyncio.to_thread(asking.join)
    assert slow.found == ["open to its end"]


async def test_a_handler_that_does_not_end_keeps_no_door_open(tmp_path: Path, slow: SlowPage) -> None:
    path = make(tmp_path, {"portal": {"enabled": True, "port": 0}})
    async with asyncio.timeout(PATIENCE):
        async with opened(path, doors=[StaffDoor(patience=0.1)]) as clinic:
            asking = await asyncio.to_thread(slow.ask, clinic.service.addresses["portal"])
    assert slow.found == []
    slow.may_end.set()
    await asyncio.to_thread(asking.join)
