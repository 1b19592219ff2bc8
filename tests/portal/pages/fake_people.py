"""`portal.people.People` in memory, for tests of pages: passwords in the clear, one code that is right, links by their token."""

# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from portal.people import (
    Browser,
    CodeNeeded,
    Invitation,
    NotDone,
    OpenSession,
    Person,
    SecondFactor,
    Session,
    SetUp,
    SetUpRefused,
    SignedIn,
    SignInRefused,
)
from portal.roles import Role
from tests.portal.pages.staff import NOW, PASSWORD, FakeSessions, person, session_of

CODE = "123456"
SECOND_FACTOR = SecondFactor(secret="ABCD EFGH", uri="otpauth://totp/Carebell:kim?secret=ABCDEFGH&issuer=Carebell")


class FakePeople(FakeSessions):
    """Kim, Dana, Sam and Avery, one of each role. `refusal` is what the next act answers instead of doing it."""

    def __init__(self) -> None:
        super().__init__()
        self.everybody = {somebody.id: somebody for somebody in map(person, Role)}
        self.open_links: dict[str, str] = {}
        self.refusal: Any = None
        self.acts: list[tuple[str, str]] = []
        self.waiting: SecondFactor | None = None

    def is_empty(self) -> bool:
        return not self.everybody

    def sign_in(self, login: str, password: str, browser: Browser) -> SignedIn | CodeNeeded | SignInRefused:
        if self.refusal is not None:
            return self._refused()
        somebody = next((known for known in self.everybody.values() if known.login == login), None)
        if somebody is None or password != PASSWORD:
            return SignInRefused(reason="wrong")
        if somebody.has_second_factor:
            return CodeNeeded(token=f"half-{somebody.id}", ends_at=NOW + timedelta(minutes=5))
        return self._opened(somebody)

    def check_code(self, token: str, code: str, browser: Browser) -> SignedIn | SignInRefused:
        if not token.startswith("half-"):
            return SignInRefused(reason="expired")
        return self._opened(self.everybody[token[5:]]) if code == CODE else SignInRefused(reason="wrong")

    def sign_out(self, token: str) -> None:
        del self.by_token[token]

    def set_up_of(self, token: str) -> SetUp | None:
        if token not in self.open_links:
            return None
        somebody = self.everybody[self.open_links[token]]
        return SetUp(person=somebody, second_factor=SECOND_FACTOR, shortest=8, ends_at=NOW + timedelta(hours=24))

    def set_up(self, token: str, password: str, code: str, browser: Browser) -> SignedIn | SetUpRefused:
        if self.refusal is not None:
            return self._refused()
        if code != CODE:
            return SetUpRefused(code=True)
        return self._opened(self.everybody[self.open_links.pop(token)])

    def people(self) -> tuple[Person, ...]:
        return tuple(self.everybody.values())

    def person(self, person_id: str) -> Person | None:
        return self.everybody.get(person_id)

    def invite(
        self, by: Session, login: str, name: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Invitation | NotDone:
        if self.refusal is not None:
            return self._refused()
        invited = replace(person(Role(role), environments), id="new", login=login, name=name)
        self.everybody["new"] = invited
        return self.invite_again(by, "new", browser)

    def invite_again(self, by: Session, person_id: str, browser: Browser) -> Invitation | NotDone:
        if self.refusal is not None:
            return self._refused()
        self.open_links["link"] = person_id
        return Invitation(person=self.everybody[person_id], token="link", ends_at=NOW + timedelta(hours=24))

    def change_role(
        self, by: Session, person_id: str, role: str, environments: tuple[str, ...], browser: Browser
    ) -> Person | NotDone:
        if self.refusal is not None:
            return self._refused()
        self.everybody[person_id] = replace(self.everybody[person_id], role=role, environments=environments)
        return self.everybody[person_id]

    def switch_off(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        return self._act("off", person_id)

    def switch_on(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        return self._act("on", person_id)

    def unlock(self, by: Session, person_id: str, browser: Browser) -> Person | NotDone:
        return self._act("unlock", person_id)

    def sign_out_everywhere(self, by: Session, person_id: str, browser: Browser) -> int | NotDone:
        outcome = self._act("sign out", person_id)
        return outcome if isinstance(outcome, NotDone) else 1

    def change_password(
        self, by: Session, current: str, new: str, browser: Browser
    ) -> SignedIn | NotDone | SignInRefused:
        if self.refusal is not None:
            return self._refused()
        if current != PASSWORD:
            return NotDone(reason="wrong_password")
        return self._opened(by.person)

    def begin_second_factor(self, by: Session, browser: Browser) -> SecondFactor | NotDone:
        self.waiting = SECOND_FACTOR
        return SECOND_FACTOR

    def new_second_factor(self, by: Session) -> SecondFactor | None:
        return self.waiting

    def finish_second_factor(self, by: Session, code: str, browser: Browser) -> SignedIn | NotDone:
        return self._opened(by.person) if code == CODE else NotDone(reason="wrong_code")

    def own_sessions(self, by: Session) -> tuple[OpenSession, ...]:
        return tuple(
            OpenSession(
                key=key,
                created_at=NOW,
                seen_at=NOW,
                ends_at=NOW,
                address="203.0.113.7",
                agent=agent,
                is_this=key == by.key,
            )
            for key, agent in ((by.key, "Firefox"), ("other", "<script>alert(1)</script>"))
        )

    def end_session(self, by: Session, key: str, browser: Browser) -> bool:
        self.acts.append(("end", key))
        return True

    def end_other_sessions(self, by: Session, browser: Browser) -> int:
        self.acts.append(("end others", by.key))
        return 1

    def _act(self, act: str, person_id: str) -> Any:
        if self.refusal is not None:
            return self._refused()
        self.acts.append((act, person_id))
        return self.everybody[person_id]

    def _refused(self) -> Any:
        refusal, self.refusal = self.refusal, None
        return refusal

    def _opened(self, somebody: Person) -> SignedIn:
        session = session_of(somebody)
        self.by_token["opened"] = session
        return SignedIn(token="opened", session=session, known_by="known")
