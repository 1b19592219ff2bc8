"""P15, P16, P17 and P27: scanners of links, guesses, visits that change under a waiting patient, and what a proxy may get wrong."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from sqlalchemy import event

from carebell.maintenance.node_alarms import NodeAlarms
from portal.http_limits import HttpLimits
from portal.join.app import build
from portal.join.desk import JoinWords
from portal.join.guessing import PER_MINUTE, Guesses
from portal.server import serve
from scheduler.visit_life import VisitState
from store.join_tokens import new_join_token
from tests.carebell.patients.room import MINUTE, NOW, SAME, SCRIPT, START, Clinic, clinic
from tests.faults.conftest import Tally
from tests.story.folder import load

SECOND: Final = timedelta(seconds=1)
PREFETCHES: Final[tuple[dict[str, str], ...]] = (
    {},
    {"purpose": "prefetch"},
    {"sec-purpose": "prefetch;prerender"},
    {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
    {"user-agent": "facebookexternalhit/1.1"},
    {"accept": "application/json"},
)


@pytest.mark.faults("P15")
def test_a_scanner_of_links_changes_nothing(tally: Tally, tmp_path: Path) -> None:
    """Whatever it fetches or posts: it is no page of this site. Afterwards the link works as if nobody had been there."""
    rng = random.Random(15)
    with clinic(tmp_path / "clinic") as day:
        day.hear("S12")
        token = day.token()
        for _ in tally.rounds():
            day.service.step(to=rng.choice((NOW + MINUTE, START - 30 * MINUTE)))
            path = rng.choice(("", "", "", "/visit.ics", "/here", "/leave", "/go", "/here?device=d1"))
            method = rng.choice(("GET", "HEAD", "GET", "OPTIONS", "POST", "PUT", "DELETE"))
            headers = rng.choice(PREFETCHES) | (rng.choice(({}, {"origin": "https://mail.example"})))
            answer = day.client.request(method, f"/j/{token}{path}", headers=headers, content=b"device=d1")
            tally.seen[f"{answer.status_code}"] += 1
        assert day.events() == ["planned"]
        day.service.step(to=START - 10 * MINUTE)
        assert day.here(token)["stage"] == "waiting"


@pytest.mark.faults("P16")
def test_nobody_guesses_a_link(tally: Tally, tmp_path: Path) -> None:
    """Unknown and ended links cost the same statements, so that no clock tells them apart; and the alarm is raised."""
    with clinic(tmp_path / "clinic") as day:
        day.hear("S12")
        token = day.token()
        statements = _counted(day)
        day.service.step(to=START + timedelta(days=1))
        assert day.room.look(token) is None
        ended = statements()
        assert any("visit_links" in statement for statement in ended)
        for _ in tally.rounds():
            guess = new_join_token()
            tally.seen["hits"] += day.room.look(guess) is not None
            assert statements() == ended
        assert tally.seen["hits"] == 0
        answers = [day.client.get(f"/j/{new_join_token()}").status_code for _ in range(PER_MINUTE + 5)]
        assert answers == [404] * PER_MINUTE + [429] * 5
        assert [over for _, over in day.unknown] == [False] * PER_MINUTE + [True] * 5
        assert _alarm(day, unknown=499.0) == []
        assert _alarm(day, unknown=500.0) == ["join_guessing"]


@pytest.mark.faults("P16", proof=True)
def test_a_guess_that_is_right_is_a_hit_and_costs_other_statements(tally: Tally, tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic") as day:
        day.hear("S12")
        statements = _counted(day)
        assert day.room.look(new_join_token()) is None
        unknown = statements()
        assert day.room.look(day.token()) is not None
        assert statements() != unknown


def _counted(day: Clinic) -> Callable[[], list[str]]:
    """What was asked of the database since it was asked last."""
    asked: list[str] = []

    def note(_1: object, _2: object, statement: str, _3: object, _4: object, _5: object) -> None:
        asked.append(statement)

    event.listen(day.service.store.engine, "before_cursor_execute", note)

    def taken() -> list[str]:
        since = asked[:]
        asked.clear()
        return since

    return taken


def _alarm(day: Clinic, unknown: float) -> list[str]:
    alarms = NodeAlarms(
        loaded=lambda: load(day.service.log.parent / "carebell.yaml"),
        node="n1",
        host="h1",
        down=dict,
        stalled=dict,
        signature_failures=dict,
        lost_lines=lambda: 0,
        dropped_fields=lambda: 0,
        clock_differences=dict,
        unreadable_days=lambda: 0,
        seconds=lambda: 0.0,
        unknown_links=lambda: unknown,
        free=lambda _: 10**12,
    )
    return [condition.alarm for condition in alarms() if condition.alarm == "join_guessing"]


@pytest.mark.faults("P17")
def test_what_becomes_of_a_visit_is_on_the_next_look_of_who_waits(tally: Tally, tmp_path: Path) -> None:
    """Moved, canceled, or its number forgotten while somebody is in the waiting room; then nothing of the token is in any file."""
    rng = random.Random(17)
    with ExitStack() as stack:
        for round_ in tally.rounds():
            if round_ % _ONE_CLINIC == 0:  # another clinic before the throwaway certificate expires
                stack.close()
                folder = tmp_path / f"clinic{round_}"
                day = stack.enter_context(clinic(folder))
            act = rng.choice(("move", "cancel", "forget", "move and back", "in person"))
            token = _changed_beneath(day, act, f"V{round_}")
            tally.seen[act] += 1
            day.service.step(timedelta(days=1, hours=6))
            day.service.retention.round()
            day.upkeep.round()
            assert day.room.look(token) is None
            assert not _files_with(token, folder)


_ONE_CLINIC: Final = 100


def _changed_beneath(day: Clinic, act: str, reference: str) -> str:
    """Somebody waits, and something becomes of the visit; the token. What their page asks for next says it."""
    start = day.service.now + 40 * MINUTE
    day.hear("S12", start, reference=reference)
    token = day.token(reference)
    assert day.here(token)["stage"] == "waiting"
    if act == "move":
        day.hear("S13", start + timedelta(days=1), reference=reference)
        assert day.here(token)["stage"] == "early"
    elif act == "cancel":
        day.hear("S15", start, reference=reference)
        assert day.here(token)["stage"] == "canceled"
        assert day.visit(reference).state is VisitState.CANCELED
    elif act == "in person":
        day.hear("S14", start, mode="OFFICE", reference=reference)
        assert day.here(token)["stage"] == "changed"
    elif act == "move and back":
        day.hear("S13", start + timedelta(days=1), reference=reference)
        day.hear("S13", start, reference=reference)
        assert day.here(token)["stage"] == "waiting"
        assert day.token(reference) == token
    else:
        day.service.step(to=start + SECOND)
        day.service.retention.round()
        assert not _files_with(token, day.service.log.parent)
        assert day.here(token)["stage"] == "waiting", "the visit goes on without the number"
    return token


def _files_with(token: str, folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file() and token.encode() in file.read_bytes()]


CASES: Final = {
    "another host": ("GET /j/{token} HTTP/1.1\r\nHost: other.example\r\n\r\n", 421),
    "no host": ("GET /j/{token} HTTP/1.0\r\n\r\n", 421),
    "a scheme that is not ours": (
        "GET /j/{token} HTTP/1.1\r\nHost: visit.example\r\nX-Forwarded-Proto: http\r\n\r\n",
        200,
    ),
    "two slashes before": ("GET //j/{token} HTTP/1.1\r\nHost: visit.example\r\n\r\n", 404),
    "two slashes within": ("GET /j//{token} HTTP/1.1\r\nHost: visit.example\r\n\r\n", 404),
    "a slash behind": ("GET /j/{token}/ HTTP/1.1\r\nHost: visit.example\r\n\r\n", 404),
    "an encoded slash": ("GET /j%2F{token} HTTP/1.1\r\nHost: visit.example\r\n\r\n", 200),
    "cookies of eight kilobytes": (
        "GET /j/{token} HTTP/1.1\r\nHost: visit.example\r\nCookie: a=" + 8000 * "x" + "\r\n\r\n",
        200,
    ),
    "a request that is no HTTP": ("J {token}\r\n\r\n", 400),
    "a length twice": (
        "POST /j/{token}/here HTTP/1.1\r\nHost: visit.example\r\nContent-Length: 9\r\nContent-Length: 8\r\n\r\ndevice=d1",
        400,
    ),
    "a body too long": (
        "POST /j/{token}/here HTTP/1.1\r\nHost: visit.example\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 5000\r\n\r\n"
        + 5000 * "x",
        400,
    ),
    "a head that never ends": ("GET /j/{token} HTTP/1.1\r\nHost: visit.example\r\n", 0),
    "a body that never ends": (
        "POST /j/{token}/here HTTP/1.1\r\nHost: visit.example\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 9\r\n\r\ndev",
        0,
    ),
}
"""What comes through a proxy -> the status; 0: the connection is closed without an answer."""


@pytest.mark.faults("P27")
def test_what_a_proxy_gets_wrong_is_refused_or_does_no_harm(tally: Tally, tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic") as day, ThreadPoolExecutor(2) as threads:
        day.hear("S12")
        day.service.step(to=START - 10 * MINUTE)
        app = build(
            day.room,
            JoinWords(organization=lambda: "Lamna", contact=lambda: "555-0100"),
            public_url="https://visit.example",
            trusted_proxies=list,
            now=day.service.clock.now,
            threads=threads,
            unknown=lambda *_: None,
            report=lambda _: None,
            guesses=Guesses(per_minute=1000),
        )
        token, cases = day.token(), list(CASES.items())

        async def ask() -> None:
            async with serve(app, "127.0.0.1", 0, limits=HttpLimits(whole_request=0.5)) as (host, port):
                for round_ in tally.rounds():
                    name, (request, status) = cases[round_ % len(cases)]
                    reader, writer = await asyncio.open_connection(host, port)
                    writer.write(request.replace("{token}", token).encode())
                    answer = await reader.read(64)
                    writer.close()
                    assert (int(answer.split()[1]) if answer else 0) == status, name
                    tally.seen["answered" if status else "closed"] += 1

        asyncio.run(ask())
        assert day.events() == ["planned"]
        assert day.client.post(f"/j/{token}/here", data={"device": "d1"}, headers=SCRIPT | SAME).status_code in (
            200,
            303,
        )
