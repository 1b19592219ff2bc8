"""P7 and P8: no forged form and nobody without the right reaches a page's handler, at any address of the portal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import pytest

from portal.roles import Role
from tests.faults.conftest import Tally
from tests.portal.pages.staff import PUBLIC, Browser
from tests.portal.written_routes import ENVIRONMENT, address_of, browsing_the_gate, is_through, may_pass, written_table

TABLE: Final = written_table()
FORMS: Final[Sequence[tuple[str, str]]] = [(path, who) for (method, path), who in TABLE.items() if method == "POST"]
"""Path and who may, of every address that takes a form."""
SAME_ORIGIN: Final = {"sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsing_the_gate() as browser:
        yield browser


# P7


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """A form that no page of the portal sent.

    Attributes:
        headers: with it. csrf: its token; None: the session's own, as if it were known.
        status: of the answer.
    """

    headers: Mapping[str, str] = field(default_factory=lambda: SAME_ORIGIN)
    csrf: str | None = None
    status: int = 403

    @property
    def needs_a_session(self) -> bool:
        """Where nobody is signed in there is no token; the origin alone counts."""
        return self.csrf is not None


FORGERIES: Final[Mapping[str, Forgery]] = {
    "nothing says where it comes from": Forgery(headers={}),
    "another site": Forgery(headers={"sec-fetch-site": "cross-site"}),
    "another site that names our origin": Forgery(headers={"sec-fetch-site": "cross-site", "origin": PUBLIC}),
    "a site beside ours": Forgery(headers={"sec-fetch-site": "same-site"}),
    "no site": Forgery(headers={"sec-fetch-site": "none"}),
    "the null origin": Forgery(headers={"origin": "null"}),
    "another origin": Forgery(headers={"origin": "https://evil.example"}),
    "an origin that begins as ours": Forgery(headers={"origin": f"{PUBLIC}.evil.example"}),
    "ours without TLS": Forgery(headers={"origin": PUBLIC.replace("https:", "http:")}),
    "ours at another port": Forgery(headers={"origin": f"{PUBLIC}:8443"}),
    "a referrer alone": Forgery(headers={"referer": f"{PUBLIC}/"}),
    "no token": Forgery(csrf=""),
    "the token of another session": Forgery(csrf="token-of-sam"),
    "another host": Forgery(headers={**SAME_ORIGIN, "host": "evil.example"}, status=421),
    "another host that names ours": Forgery(
        headers={**SAME_ORIGIN, "host": "evil.example", "x-forwarded-host": "portal.lamna.example"}, status=421
    ),
}


@pytest.mark.faults("P7")
def test_no_forged_form_is_taken(browser: Browser, tally: Tally) -> None:
    browser.client.cookies.clear()
    browser.sign_in(Role.ADMINISTRATOR)
    assert tally.fault.rounds == len(FORGERIES)
    for number in tally.rounds():
        name, forgery = list(FORGERIES.items())[number]
        for path, who in FORMS:
            if forgery.needs_a_session and "*" in who:
                continue
            answer = browser.post(address_of(path), csrf=forgery.csrf, headers=forgery.headers)
            assert answer.status_code == forgery.status, f"{name}: {path}"
            assert not is_through(answer), f"{name}: {path}"
            tally.seen["refused"] += 1


@pytest.mark.faults("P7", proof=True)
def test_a_form_of_the_portal_is_taken_everywhere(browser: Browser, tally: Tally) -> None:
    """Otherwise a gate that takes no form at all would pass for a good one."""
    browser.client.cookies.clear()
    for path, who in FORMS:
        role = Role.ADMINISTRATOR if may_pass(who, Role.ADMINISTRATOR) else Role.ANALYST
        browser.sign_in(role, [ENVIRONMENT])
        for headers in (SAME_ORIGIN, {"origin": PUBLIC}):
            assert is_through(browser.post(address_of(path), headers=headers)), path
            tally.seen["genuine, taken"] += 1


# P8


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Attributes: role: None: nobody is signed in. environments: of an analyst."""

    role: Role | None
    environments: Sequence[str] = (ENVIRONMENT,)

    def passes(self, path: str, who: str) -> bool:
        """What the written table says."""
        is_elsewhere = "{environment}" in path and ENVIRONMENT not in self.environments
        return may_pass(who, self.role) and not is_elsewhere

    def refused_with(self, method: str) -> int:
        if self.role is not None:
            return 403
        return 401 if method == "POST" else 303


ASKERS: Final = (
    *(Asker(role=role) for role in (None, *Role)),
    Asker(role=Role.ANALYST, environments=("another",)),
)


@pytest.mark.faults("P8")
def test_the_gate_does_what_the_table_says(browser: Browser, tally: Tally) -> None:
    assert tally.fault.rounds == len(ASKERS)
    for number in tally.rounds():
        asker = ASKERS[number]
        browser.client.cookies.clear()
        if asker.role is not None:
            browser.sign_in(asker.role, asker.environments)
        for (method, path), who in TABLE.items():
            address = address_of(path)
            answer = browser.get(address) if method == "GET" else browser.post(address)
            passes = asker.passes(path, who)
            assert is_through(answer) == passes, f"{method} {path} as {asker}: {answer.status_code}"
            if not passes:
                assert answer.status_code == asker.refused_with(method), f"{method} {path} as {asker}"
            tally.seen["let through" if passes else "refused"] += 1
