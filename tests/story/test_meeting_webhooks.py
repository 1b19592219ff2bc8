"""A started service hears from a Jitsi server who comes and goes, over its HTTP port."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from meetings.jitsi import JitsiMeetings
from meetings.port import MeetingRequest
from scheduler.visit_life import VisitRole, VisitState
from simulator.meetings.jitsi import SimulatedJitsi
from store import visits
from store.visits import VideoVisit
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed
from tests.story.folder import CLOCK, make

VISIT: Final = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
BEARER: Final = "known-to-both"
MEETING: Final = {
    "kind": "jitsi",
    "url": "https://meet.example",
    "app_id": "carebell",
    "secret_file": "jitsi.secret",
    "webhook_secret_file": "jitsi.bearer",
}


def _visit(clinic: Clinic) -> VideoVisit:
    with clinic.service.store.read() as conn:
        [visit] = visits.between(conn, CLOCK, VISIT.replace(year=2027))
    return visit


async def test_who_comes_and_goes_is_heard_over_the_http_port(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "http": {"enabled": True, "port": 0},
        "join": {"enabled": True, "public_url": "https://visit.example"},
        "environments": {
            "production": {"visits": {"join": "ours", "meeting": MEETING, "allowed_hosts": ["meet.example"]}}
        },
    }
    path = make(tmp_path, changes)
    for name, content in (("jitsi.secret", "shared"), ("jitsi.bearer", BEARER)):
        (path.parent / name).write_text(content + "\n", encoding="utf-8")
        (path.parent / name).chmod(0o400)
    async with opened(path) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT, visit="VIDEO"))
        assert clinic.service.http is not None
        host, port = clinic.service.http
        answers: list[int] = []

        def post(below: str, body: bytes, headers: Mapping[str, str]) -> int:
            url = f"http://{host}:{port}/meetings/production/{below}"
            request = urllib.request.Request(url, body, dict(headers), method="POST")
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    answers.append(answer.status)
            except urllib.error.HTTPError as error:
                answers.append(error.code)
            return answers[-1]

        visit = _visit(clinic)
        jitsi = SimulatedJitsi(app_id="carebell", secret=b"shared", bearer=BEARER, post=post, clock=lambda: VISIT)
        rooms = JitsiMeetings(url="https://meet.example", app_id="carebell", secret=b"shared")
        asked = MeetingRequest(visit=visit.id, code=visit.code, window=visit.window)
        address = rooms.join_url(rooms.create(asked), VisitRole.PATIENT, VISIT)
        await asyncio.to_thread(jitsi.enter, address)
        jitsi.bearer = "guessed"
        await asyncio.to_thread(jitsi.enter, address)

        assert answers == [200, 200, 403]
        assert (_visit(clinic).state, _visit(clinic).started_at) == (VisitState.IN_VISIT, VISIT)
        [refused] = clinic.events("webhook_refused")
        assert (refused["path"], refused["reason"]) == ("meetings", "signature")
        heard = [line for line in clinic.events("visit_changed") if line["source"] == "meeting"]
        assert [line["visit_event"] for line in heard] == ["connected"]
