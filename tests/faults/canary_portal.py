"""A whole portal in whose stored fields somebody wrote markup wherever it is taken, and whose patients are known to the letter.

A service is told a day by signed messages over its ports; then every form of every page is found, filled in and sent; then every
page of the route table is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Final
from unittest.mock import MagicMock

from portal.pages import all_pages
from portal.route_table import Page
from store import sessions
from store.sessions import SessionStage, StoredSession
from store.tokens import key_of
from tests.browser.clinic_week import NOW
from tests.browser.site import Site, serving
from tests.faults.portal_forms import CANARY, ReadPage, Visitor
from tests.story.canaries import canaries
from tests.story.clinic import Clinic
from tests.story.ehr import signed, unsigned
from tests.story.folder import make

NUMBERS: Final = ("+12025550188", "+12025550177", "+12025550166")
CONTROL_ID: Final = f"M{CANARY}"
REFERENCE: Final = f"V{CANARY}"
_OWN_WORDS: Final = {b"test", b"LAMNA", b"5550100"}
"""What the configuration says of itself."""
_NOT_LEARNT: Final = {"environment": "production", "person": "id-dana", "token": "none", "order": "none"}
"""Nobody sells numbers here, and an order holds only digits: its page says that there is none."""
_KEPT_FOR_LATER: Final = ("/sign-out", "/you/", "/people/id-kim")
"""What would end or lock the visitor's own session."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_LEARNT: Final = {
    "proposal": re.compile(r"/configuration/preview/([0-9a-f]+)"),
    "draft": re.compile(r"/environments/new/([0-9a-f]+)/"),
    "step": re.compile(r"/environments/new/[0-9a-f]+/(\w+)"),
    "version": re.compile(r"/configuration/history/([0-9a-zA-Z]+)"),
    "token": re.compile(r"/set-up/([\w-]{20,})"),
}
"""Parameter of an address -> where it is learnt from an answer."""


@dataclass(slots=True)
class CanaryPortal:
    """Attributes:
    patients: every value of a patient in the messages that were sent.
    known: a value for each parameter of the route table's addresses.
    """

    site: Site
    visitor: Visitor
    patients: set[bytes]
    known: dict[str, str] = field(default_factory=lambda: dict(_NOT_LEARNT))

    def fill_in_everything(self) -> None:
        """Send every form that is found, once; those of pages that are only there afterwards, too."""
        visited, sent = set[str](), set[tuple[str, str]]()
        while waiting := [address for address in self.addresses() if address not in visited]:
            for address in waiting:
                visited.add(address)
                for form in ReadPage(self.visitor.get(address).text).forms:
                    action = (form.method, form.action or address)
                    if action not in sent and not action[1].startswith(_KEPT_FOR_LATER):
                        sent.add(action)
                        answer = self.visitor.send(form, address)
                        self._learn(answer.headers.get("location", "") + answer.text)
            self._learn(self.visitor.get("/configuration/history").text)

    def ask_for_everything(self) -> None:
        """Every page, plain and with markup as its parameters; and the searches that only a form asks for."""
        for address in self.addresses():
            self.visitor.get(address)
            self.visitor.get(f"{address}?{_HOSTILE_QUERY}")
        stranger = Visitor(url=self.site.url, token="", answers=self.visitor.answers)
        for address in ("/sign-in", f"/sign-in?{_HOSTILE_QUERY}", f"/set-up/{self.known['token']}"):
            for form in ReadPage(stranger.get(address).text).forms:
                stranger.send(form, address)
        csrf = self.visitor.csrf()
        for wanted in (REFERENCE, CONTROL_ID, CANARY, *NUMBERS):
            self.visitor.post("/why", [("csrf", csrf), ("telephone", wanted)])
        for address in _FILES:
            self.visitor.post(address, [("csrf", csrf), *_ALL_TIME])

    def addresses(self) -> list[str]:
        """Of every page that is read, as far as its parameters are known."""
        found = []
        for page in _read_pages():
            if set(_PARAMETER.findall(page.path)) <= self.known.keys():
                address = _PARAMETER.sub(lambda match: self.known[match[1]], page.path)
                found.append(address)
                if "{environment}" in page.path:
                    found.append(address.replace("/production", "/test"))
        return found

    def unknown(self) -> list[str]:
        """Pages of which no address was learnt."""
        return [page.path for page in _read_pages() if not set(_PARAMETER.findall(page.path)) <= self.known.keys()]

    def log(self) -> bytes:
        return b"".join(file.read_bytes() for file in sorted(self.site.folder.glob("*.log*")))

    def _learn(self, text: str) -> None:
        for name, pattern in _LEARNT.items():
            if (found := pattern.search(text)) and found[1] != "new":
                self.known[name] = found[1]


_HOSTILE_QUERY: Final = "&".join(
    f"{name}=%22%27%3E%3Ccanary%20oncanary%3D1%3E"
    for name in (
        "environment", "after", "q", "state", "answer", "from", "to", "status", "reason", "columns", "range", "next", "done",
        "level", "action", "who", "subject", "against", "code", "error", "error_description", "iss", "appointment",
    )
)  # fmt: skip
_FILES: Final = ("/reports/sms/csv", "/reports/visits/csv", "/audit/export", "/logs/download")
_ALL_TIME: Final = (("from", f"{NOW.date() - timedelta(days=1)}"), ("to", f"{NOW.date() + timedelta(days=30)}"))


def _read_pages() -> list[Page]:
    return [page for page in all_pages(MagicMock()) if page.method == "GET"]


@contextmanager
def canary_portal(folder: Path) -> Iterator[CanaryPortal]:
    """The portal after its day, with an administrator's visitor whose browser calls itself a canary."""
    oidc = {
        "name": CANARY,
        "issuer": "https://login.lamna.example",
        "client_id": "carebell",
        "client_secret_file": "oidc.secret",
        "roles": {CANARY: "support"},
    }
    (folder / "clinic").mkdir()
    secret = folder / "clinic" / "oidc.secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o400)
    path = make(
        folder / "clinic",
        {
            "organization": {"name": f"Lamna {CANARY}"},
            "portal": {"enabled": True, "port": 0, "sign_in": {"oidc": oidc}},
            "log": {"level": "debug"},
            "environments": {
                "production": {"sms": {"quiet_hours": {"from": "00:00", "to": "00:01"}}},
                "test": {"approval": {"required": True, "approvers": ["kim"]}},
            },
        },
    )
    with serving(path, reloads=False, surname=CANARY) as site:
        sent = site.run(_live(site.clinic))
        visitor = Visitor(url=site.url, token=_session(site))
        yield CanaryPortal(site=site, visitor=visitor, patients=canaries(sent) - _OWN_WORDS)


async def _live(clinic: Clinic) -> list[bytes]:
    """Visits that are booked, cancelled and forgotten, and messages that are refused; what was sent."""
    now, visit = clinic.clock.now(), clinic.clock.now() + timedelta(days=18)
    contents = [
        signed("S12", CONTROL_ID, sent=now, start=visit, reference=REFERENCE, phone=NUMBERS[0], note=CANARY),
        signed("S12", "C2", sent=now, start=visit, reference="A2", phone=NUMBERS[1]),
        signed("S12", f"E{CANARY}", sent=now, start=None, reference=f"E{CANARY}", phone=NUMBERS[2], status=CANARY),
        unsigned("S12", f"R{CANARY}", sent=now, start=visit, reference="A9", phone=NUMBERS[0]),
        signed("S12", f"O{CANARY}", sent=now - timedelta(days=9), start=visit, reference="A10", phone=NUMBERS[1]),
    ]
    await clinic.send(*contents)
    await clinic.pass_by(timedelta(minutes=2))
    later = signed("S15", f"C{CANARY}", sent=clinic.clock.now(), start=visit, reference="A2", phone=NUMBERS[1])
    await clinic.send(later)
    await clinic.pass_by(timedelta(minutes=2))
    return [*contents, later]


def _session(site: Site) -> str:
    token, now = "c" * 64, site.clinic.clock.now()
    with site.clinic.service.store.write() as conn:
        sessions.add(
            conn,
            StoredSession(
                key=key_of(token), user_id="id-kim", stage=SessionStage.OPEN, created_at=now, seen_at=now,
                ends_at=now + timedelta(hours=12), confirmed_at=now, address="127.0.0.1", browser=CANARY,
            ),
        )  # fmt: skip
    return token
