"""How long the server takes for each page of the portal with a busy year in the database, and what a first visit loads.

The pages are the service's own: the route table over `carebell.staff`, asked for through the gate and the templates as a browser
does, by an administrator who is signed in. Every page of the table that is read by GET is measured, so a new one is too. What is
measured is the time until the last byte of the HTML, without a network; the CPU beside it is disturbed less by a busy machine.
"""

from __future__ import annotations

import math
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from httpx2 import Response
from sqlalchemy import select
from starlette.testclient import TestClient

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.growth import NOW
from benchmarks.past_year import fill
from carebell.bootstrap import components, config_record
from carebell.bootstrap.running_service import RunningService
from carebell.environment_policy import runtime_config
from carebell.maintenance.supervisor import Supervisor
from carebell.staff.administration import Administration
from carebell.staff.desks import desks_for
from carebell.staff.passwords import Passwords
from carebell.staff.people_context import PeopleContext, approvers_by_environment
from journal.events.gateway import HttpClosed
from journal.logs import setup
from journal.metrics import Metrics
from journal.repeats import RepeatLimiter
from portal.pages import Desks, all_pages
from portal.people import Browser, Invitation, SignedIn
from portal.roles import Role
from portal.route_table import Page
from portal.staff_app import build
from scheduler.clock import SteppingClock
from store.audit import Author
from store.tables import appointments
from tests.story.folder import load, make

_PUBLIC: Final = "https://portal.lamna.example"
_TARGET: Final = 50.0
"""Milliseconds of the server's, so that a click feels immediate whatever the network adds."""
_FIRST_LOAD: Final = 100.0
"""KB, as sent: the first page with everything that it names."""
_CLI: Final = Author(who="cli:benchmark", origin="host=here")
_PASSWORD: Final = "violet ladder and a spoon"
_COOKIE: Final = "__Host-carebell"
_NOBODYS: Final = "+12025550299"
"""No visit has this number, so every one that might is looked at; the numbers that were made up have hundreds of visits each."""
_LINKED: Final = re.compile(r'(?:src|href)="(/static/[^"#?]+)"')
_QUERIES: Final[Mapping[str, Sequence[str]]] = {
    "/reports/sms": ("range=90", "range=90&status=Unknown&environment=production"),
    "/reports/silences": ("range=90",),
    "/reports/visits": ("range=90&tab=Duration",),
    "/outbox": ("environment=production", "state=unknown"),
    "/returns": ("state=refused",),
    "/messages": ("answer=code",),
}
"""Page -> what people choose there."""
_AFTER_ELSEWHERE: Final = ("/approval/callback",)
"""Where another site sends the browser."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTimes:
    """Attributes: all in milliseconds but `size`, which is bytes. `first`: where nothing was asked before."""

    first: float
    median: float
    p95: float
    cpu: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PortalVisit:
    """A portal with somebody who is signed in.

    Attributes:
        pages: the route table. known: a value for each parameter of its addresses. reference: an appointment's.
    """

    client: TestClient
    pages: Sequence[Page]
    known: Mapping[str, str]
    reference: str
    csrf: str

    def get(self, address: str) -> Response:
        """SystemExit where the answer is neither a page nor the way to one."""
        return _answered(self.client.get(address, follow_redirects=False), address)

    def why(self, wanted: str) -> Response:
        form = {"telephone": wanted, "csrf": self.csrf}
        return _answered(self.client.post("/why", data=form, headers={"sec-fetch-site": "same-origin"}), "/why")

    def addresses(self) -> Iterator[str]:
        for page in self._read():
            if not self._missing(page):
                address = _PARAMETER.sub(lambda match: self.known[match[1]], page.path)
                yield address
                yield from (f"{address}?{query}" for query in _QUERIES.get(page.path, ()))

    def left_out(self) -> list[str]:
        """Addresses that exist only while somebody is changing something, such as a proposal's."""
        return [page.path for page in self._read() if self._missing(page)]

    def _read(self) -> list[Page]:
        return [page for page in self.pages if page.method == "GET" and page.signed_in]

    def _missing(self, page: Page) -> set[str]:
        """The parameters that nobody knows; an answer of an EHR's sign-in is one too."""
        if page.path in _AFTER_ELSEWHERE:
            return {"state"}
        return set(_PARAMETER.findall(page.path)) - self.known.keys()


def portal_pages(bench: Bench) -> Iterator[Figure]:
    """Each page, the search for one patient, and the first visit."""
    rounds = bench.extent.portal_rounds
    bench.say(f"a year of {bench.extent.portal_texts:,} texts for the portal")
    with _visit(bench.folder(), bench.extent.portal_appointments, bench.extent.portal_texts) as visit:
        loaded = _first_load(visit)
        yield Figure(
            name="portal, first visit",
            value=loaded,
            unit="KB",
            target=_FIRST_LOAD,
            note="the overview and all that it names",
        )
        left_out = ", ".join(visit.left_out())
        yield Figure(
            name="portal, addresses left out",
            value=len(visit.left_out()),
            unit="",
            note=f"there is nothing to show: {left_out}",
        )
        for address in visit.addresses():
            bench.say(f"portal {address}")
            yield _figure(re.sub(r"/[0-9a-f]{12,}", "/...", address), _timed(partial(visit.get, address), rounds))
        yield _figure(
            "/why, by appointment", _timed(lambda: visit.why(visit.reference), rounds), "it reads the whole log"
        )
        yield _figure(
            "/why, by telephone number",
            _timed(lambda: visit.why(_NOBODYS), 1),
            "every kept number is opened, since there is no index of numbers (docs/explanation/forgetting.md)",
        )


def _figure(name: str, timing: PageTimes, work: str = "") -> Figure:
    """Args: work: what most of the time goes into."""
    return Figure(
        name=f"portal {name}",
        value=timing.median,
        unit="ms",
        target=_TARGET,
        note=f"p95 {timing.p95:.0f} ms, CPU {timing.cpu:.0f} ms, the first time {timing.first:.0f} ms; {timing.size / 1000:.0f} KB"
        f"{'; ' if work else ''}{work}",
    )


def _timed(ask: Callable[[], Response], rounds: int) -> PageTimes:
    times, cpu, size = [], [], 0
    for _ in range(rounds + 1):
        began, worked = time.perf_counter(), time.process_time()
        size = len(ask().content)
        times.append((time.perf_counter() - began) * 1e3)
        cpu.append((time.process_time() - worked) * 1e3)
    first, *warm = times
    return PageTimes(
        first=first,
        median=statistics.median(warm),
        p95=sorted(warm)[math.ceil(0.95 * len(warm)) - 1],
        cpu=statistics.median(cpu[1:]),
        size=size,
    )


def _first_load(visit: PortalVisit) -> float:
    """KB of the overview and of each file that it names, once."""
    page = visit.get("/")
    files = [visit.get(address) for address in dict.fromkeys(_LINKED.findall(page.text))]
    return sum(int(answer.headers["content-length"]) for answer in (page, *files)) / 1000


def _answered(answer: Response, address: str) -> Response:
    if answer.status_code not in (200, 303):
        raise SystemExit(f"benchmark: {address} was answered {answer.status_code}")
    return answer


@contextmanager
def _visit(folder: Path, visits: int, texts: int) -> Iterator[PortalVisit]:
    settings = {"public_url": _PUBLIC, "sign_in": {"local": {"second_factor": "none"}}}
    loaded = load(make(folder, {"portal": settings}))
    clock, log = SteppingClock(NOW), folder / "carebell.log"
    store, vault = components.open_database(loaded, upgrade=True), components.open_vault(loaded)
    try:
        fill(store, vault, visits, texts)
        with setup(now=clock.now, file=log) as journal, ThreadPoolExecutor(4) as threads:
            metrics = Metrics()
            running = RunningService(
                node="n1", roles=frozenset({"portal"}), store=store, vault=vault, clock=clock, journal=journal, metrics=metrics,
                supervisor=Supervisor(journal=journal, metrics=metrics, seconds=time.monotonic), repeats=RepeatLimiter(journal),
                loaded=lambda: loaded, runtime_config=lambda: policies, http_connections=10, portal_connections=10,
                join_connections=10,
            )  # fmt: skip
            policies = runtime_config(loaded)
            for number in range(texts // 10):
                journal.emit(HttpClosed(peer=f"192.0.2.{number % 200}:40000", reason="head_timeout"))
            facts = config_record.facts_of(loaded, vault.ring, NOW)
            with store.write() as conn:
                config_record.record(conn, facts, _CLI, at=NOW)
            desks = desks_for(running, _PUBLIC)
            signed_in = _signed_in(running, desks)
            pages = all_pages(desks)
            app = build(
                pages, sessions=desks.access.people, organization=lambda: loaded.configuration.organization.name,
                zone=lambda: ZoneInfo("America/Los_Angeles"), public_url=_PUBLIC, trusted_proxies=lambda: [], now=clock.now,
                threads=threads, report=_stop,
            )  # fmt: skip
            with store.read() as conn:
                reference = conn.execute(select(appointments.c.reference).limit(1)).scalar_one()
            known = {
                "environment": "production",
                "version": loaded.version,
                "person": desks.access.people.people()[0].id,
            }
            with TestClient(app, base_url=_PUBLIC) as client:
                client.cookies.set(_COOKIE, signed_in.token)
                yield PortalVisit(
                    client=client, pages=pages, known=known, reference=reference, csrf=signed_in.session.csrf
                )
    finally:
        store.close()


def _signed_in(running: RunningService, desks: Desks) -> SignedIn:
    """The first administrator, who has used the link."""
    context = PeopleContext(
        store=running.store,
        vault=running.vault,
        settings=lambda: running.loaded().configuration.portal,
        organization=lambda: running.loaded().configuration.organization.name,
        environments=lambda: approvers_by_environment(running.loaded().configuration),
        now=running.clock.now,
        passwords=Passwords(),
    )
    with running.store.write() as conn:
        invitation = Administration(context).invite(conn, _CLI, "kim", "Kim", Role.ADMINISTRATOR.value, ())
    assert isinstance(invitation, Invitation)
    outcome = desks.access.people.set_up(invitation.token, _PASSWORD, "", Browser(address="192.0.2.7"))
    assert isinstance(outcome, SignedIn)
    return outcome


def _stop(path: str, error: Exception) -> None:
    raise SystemExit(f"benchmark: {path} failed") from error
