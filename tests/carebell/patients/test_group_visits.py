"""Group visits over the pages: one meeting for all, and each patient's page of their own visit alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from sqlalchemy import event as observed
from sqlalchemy import update

from carebell.ids import ControlIds
from carebell.outbound.visit_recording import VisitRecorder
from carebell.staff.visits import StaffVisits
from portal.pages import visits_page
from portal.roles import Role
from scheduler.visit_life import VisitRole, VisitState
from store import conferences
from store.engine import Transaction
from store.tables import visits as visit_rows
from store.visits import VideoVisit
from tests.carebell.patients.room import MINUTE, SAME, START, Clinic, clinic
from tests.portal.pages.staff import browsing, words
from tests.story.ehr import unsigned

GROUP: Final = ("900201", "900202", "900203")


def _book(day: Clinic, *references: str, conference: str = "G-77") -> None:
    for reference in references or GROUP:
        day.hear("S12", reference=reference, conference=conference)


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    with clinic(tmp_path / "clinic", groups=True) as made:
        _book(made)
        made.hear("S12")
        made.service.step(to=START - 10 * MINUTE)
        yield made


def _page(day: Clinic, token: str) -> str:
    return day.client.get(f"/j/{token}").text


def _link_of(page: str, reference: str) -> str:
    matched = re.search(rf'of appointment {reference},.*?name="link" value="([0-9a-f]{{64}})"', page, re.DOTALL)
    assert matched is not None, page
    return matched[1]


def test_all_of_a_group_come_to_one_room_and_nobody_else_does(day: Clinic) -> None:
    provider, rooms = day.new_link(VisitRole.PROVIDER, GROUP[1]), set()
    tokens = {reference: day.token(reference) for reference in (*GROUP, "900100")}
    for token in tokens.values():
        day.here(token)
    assert day.client.post(f"/j/{provider}/let-all-in", headers=SAME).status_code == 303
    for reference in GROUP:
        going = day.client.post(f"/j/{tokens[reference]}/go", data={"device": "d1"}, headers=SAME)
        rooms |= set(re.findall(r"https://meet\.example/([a-z0-9]+)", going.text))
    assert len(rooms) == 1
    assert (
        f"https://meet.example/{rooms.copy().pop()}"
        in day.client.post(f"/j/{provider}/go", data={"device": "d1"}, headers=SAME).text
    )
    assert rooms.isdisjoint({day.visit(reference).code for reference in tokens})
    assert day.here(tokens["900100"])["stage"] == "waiting", "a visit by itself is nobody else's to let in"
    for reference in GROUP:
        assert day.events(reference) == ["planned", "waiting", "admitted", "connected", "connected"]
        assert day.visit(reference).state is VisitState.IN_VISIT
    assert day.events() == ["planned", "waiting"]


def test_a_provider_answers_each_of_the_group(day: Clinic) -> None:
    provider = day.new_link(VisitRole.PROVIDER, GROUP[0])
    assert "Your group visit" in _page(day, provider)
    assert "Nobody waits." in _page(day, provider)
    tokens = [day.token(reference) for reference in GROUP]
    for token in (tokens[0], tokens[1], day.token()):
        day.here(token)
    page = _page(day, provider)
    assert "Patient of appointment 900201, since a moment ago." in page
    assert "900203" not in page, "who does not wait is not listed"
    assert "900100" not in page, "nor who waits for another visit"
    assert "Let all in" in page
    for path, reference in (("let-in", GROUP[0]), ("not-yet", GROUP[1])):
        link = _link_of(page, reference)
        assert day.client.post(f"/j/{provider}/{path}", data={"link": link}, headers=SAME).status_code == 303
    assert [day.here(token)["stage"] for token in tokens[:2]] == ["admitted", "waiting"]
    assert "needs a few more minutes" in day.here(tokens[1])["words"]
    assert "Let all in" not in _page(day, provider), "one waits: its own button does it"
    assert day.events(GROUP[0])[-1] == "admitted"
    assert day.events(GROUP[1])[-1] == "put_off"


def test_a_provider_by_a_later_visit_of_the_group_lets_in_who_waits_for_an_earlier_one(day: Clinic) -> None:
    day.hear("S12", start=START + timedelta(hours=3), reference="900204", conference="G-77")
    provider, token, later = day.new_link(VisitRole.PROVIDER, "900204"), day.token(GROUP[0]), day.token("900204")
    day.here(token)
    assert day.here(later)["stage"] == "early", "a patient's page is of their own visit"
    assert "Patient of appointment 900201, since a moment ago." in _page(day, provider)
    assert day.client.post(f"/j/{provider}/let-in", data={"link": day.key(token)}, headers=SAME).status_code == 303
    assert day.here(token)["stage"] == "admitted"
    going = day.client.post(f"/j/{provider}/go", data={"device": "d1"}, headers=SAME)
    assert "https://meet.example/" in going.text
    assert day.events("900204") == ["planned"], "nobody was there yet for a visit that is not open"


def test_before_the_first_of_a_group_opens_it_is_early_for_its_provider(tmp_path: Path) -> None:
    with clinic(tmp_path / "clinic", groups=True) as made:
        _book(made)
        made.hear("S12", start=START + timedelta(hours=3), reference="900204", conference="G-77")
        provider = made.new_link(VisitRole.PROVIDER, "900204")
        opens_at = made.visit(GROUP[0]).window.opens_at
        made.service.step(to=opens_at - timedelta(seconds=1))
        assert "Nobody waits." not in _page(made, provider)
        made.service.step(to=opens_at)
        assert "Nobody waits." in _page(made, provider)


def test_only_a_provider_of_the_group_lets_all_in(day: Clinic) -> None:
    tokens = [day.token(reference) for reference in GROUP]
    for token in tokens:
        day.here(token)
    by_itself = day.new_link(VisitRole.PROVIDER)
    for token, status in ((tokens[0], 404), ("1" * 17, 404), (by_itself, 303)):
        assert day.client.post(f"/j/{token}/let-all-in", headers=SAME).status_code == status
    assert day.client.post(f"/j/{by_itself}/let-all-in", headers={"sec-fetch-site": "cross-site"}).status_code == 403
    for headers, status, said in (({}, 403, "Esto no llegó"), (SAME, 400, "La solicitud no")):
        wrong = day.client.post(
            f"/j/{by_itself}/let-in", data={"link": "x"}, headers={**headers, "accept-language": "es"}
        )
        assert (wrong.status_code, wrong.text.startswith(said)) == (status, True)
    link = day.key(tokens[0])
    assert day.client.post(f"/j/{by_itself}/let-in", data={"link": link}, headers=SAME).status_code == 303
    assert {day.here(token)["stage"] for token in tokens} == {"waiting"}


def test_a_patient_learns_nothing_of_the_others(day: Clinic) -> None:
    """The pages and the number of questions behind them are the same, whoever else is in the group and whatever they do."""
    alone, in_group = day.token(), day.token(GROUP[0])

    def seen(token: str) -> tuple[list[str], int]:
        asked: list[str] = []

        def note(_conn: Any, _cursor: Any, statement: str, *_more: Any) -> None:
            asked.append(statement)

        observed.listen(day.service.store.engine, "before_cursor_execute", note)
        going = day.client.post(f"/j/{token}/go", data={"device": "d1"}, headers=SAME).text
        pages = [_page(day, token), str(day.here(token)), _page(day, token), going]
        observed.remove(day.service.store.engine, "before_cursor_execute", note)
        return [re.sub(r'value="[0-9a-f]{16}"', "", page.replace(token, "")) for page in pages], len(asked)

    first = seen(in_group)
    assert first == seen(alone)
    again = seen(in_group)
    for reference in GROUP[1:]:
        day.here(day.token(reference))
    provider = day.new_link(VisitRole.PROVIDER, GROUP[1])
    day.client.post(f"/j/{provider}/let-in", data={"link": day.key(day.token(GROUP[1]))}, headers=SAME)
    day.hear("S15", reference=GROUP[2])
    assert seen(in_group) == again
    with day.service.store.read() as conn:
        group = day.visit(GROUP[0]).conference
        code = conferences.by_id(conn, [group or ""])[group or ""].code
    for page in again[0]:
        assert not {part for part in ("G-77", code, "group", "Group", *GROUP) if part in page}
    day.client.post(f"/j/{provider}/let-in", data={"link": day.key(in_group)}, headers=SAME)
    day.client.post(f"/j/{in_group}/go", data={"device": "d1"}, headers=SAME)
    there = seen(in_group)
    assert code in there[0][-1], "who is let in goes to the room of all"
    day.hear("S15", reference=GROUP[1])
    day.client.post(f"/j/{provider}/go", data={"device": "d1"}, headers=SAME)
    assert seen(in_group) == there


def test_one_that_is_canceled_leaves_the_others_and_the_provider(day: Clinic) -> None:
    provider = day.new_link(VisitRole.PROVIDER, GROUP[0])
    tokens = [day.token(reference) for reference in GROUP]
    for token in tokens:
        day.here(token)
    day.hear("S15", reference=GROUP[0])
    assert day.here(tokens[0])["stage"] == "canceled"
    page = _page(day, provider)
    assert "900202" in page
    assert "900201" not in page
    day.client.post(f"/j/{provider}/let-all-in", headers=SAME)
    assert [day.here(token)["stage"] for token in tokens] == ["canceled", "admitted", "admitted"]
    for reference in GROUP[1:]:
        day.hear("S15", reference=reference)
    assert "This visit was canceled." in _page(day, provider)


def test_who_is_moved_to_another_group_waits_there(day: Clinic) -> None:
    _book(day, "900301", conference="G-78")
    token, other = day.token(GROUP[0]), day.new_link(VisitRole.PROVIDER, "900301")
    first = day.new_link(VisitRole.PROVIDER, GROUP[1])
    day.here(token)
    day.client.post(f"/j/{first}/let-all-in", headers=SAME)
    assert day.here(token)["stage"] == "admitted"
    day.hear("S14", reference=GROUP[0], conference="G-78")
    assert day.here(token)["stage"] == "waiting", "let in there is not let in here"
    assert "900201" in _page(day, other)
    assert "900201" not in _page(day, first)
    day.hear("S14", reference=GROUP[0], conference='""')
    assert "900201" not in _page(day, other)
    assert day.visit(GROUP[0]).conference is None
    assert day.token(GROUP[0]) == token


@dataclass(frozen=True, slots=True, kw_only=True)
class LateRecorder(VisitRecorder):
    """Attributes: meanwhile: what another node commits when the visits of a group are locked, and before they are read again."""

    meanwhile: Callable[[Transaction], None]

    def begin_all(self, conn: Transaction, ids: Iterable[str]) -> dict[str, VideoVisit]:
        locked = VisitRecorder.begin_all(self, conn, ids)
        self.meanwhile(conn)
        return locked


@pytest.mark.parametrize("act", ["let_all_in", "go"])
def test_a_visit_that_joins_after_the_lock_is_left_to_the_next_click(day: Clinic, act: str) -> None:
    """Nobody holds its row: another node may be adding to its events under the same number."""
    _book(day, "900301", conference="G-78")
    provider, late = day.new_link(VisitRole.PROVIDER, GROUP[0]), day.visit("900301").id
    for reference in (GROUP[0], "900301"):
        day.here(day.token(reference))

    def joins(conn: Transaction) -> None:
        conn.execute(
            update(visit_rows).where(visit_rows.c.id == late).values(conference=day.visit(GROUP[0]).conference)
        )

    recorder = LateRecorder(
        runtime_config=lambda: day.service.runtime_config,
        control_ids=ControlIds(),
        journal=day.recorder.journal,
        meanwhile=joins,
    )
    for room, noted in ((replace(day.room, recorder=recorder), False), (day.room, True)):
        if act == "go":
            way = room.go(provider, "d1")
            assert way is not None
            assert way.url is not None
        else:
            assert room.answer(provider, None, let_in=True)
        assert (day.events("900301") != ["planned", "waiting"]) is noted
        assert day.events(GROUP[0]) != ["planned", "waiting"]


def test_a_visit_that_proves_to_be_another_makes_its_group_no_longer(tmp_path: Path) -> None:
    """What is sealed for a group, and the hospital's id, is kept until the last of its links ends, and no day longer."""
    with clinic(tmp_path / "clinic", groups=True) as made:

        def hear(event: str, ids: str, start: datetime, conference: str) -> None:
            """Args: ids: SCH-1 and SCH-2. One is known by the first and another by the second, until a message has both."""
            made.service.step(MINUTE)
            content = unsigned(
                event, f"{made.service.now:%H%M}", sent=made.service.now, start=start, visit="VIDEO", note=conference
            )
            made.service.hear(content.replace(b"|900100^EPIC|900100^EPIC|", f"|{ids}|".encode()))
            assert made.service.refused == []

        made.hear("S12", reference=GROUP[0], conference="G-77")
        hear("S12", "900202^EPIC|", START + 60 * MINUTE, "G-77")
        hear("S12", "|900301^EPIC", START, "G-78")
        short, group = made.visit(GROUP[0]).window, made.visit(GROUP[0]).conference or ""
        hear("S14", "900202^EPIC|900301^EPIC", START, "G-78")
        with made.service.store.read() as conn:
            states = {visit.window: visit.state for visit in conferences.members(conn, group)}
            assert states.pop(short) is VisitState.PLANNED
            assert list(states.values()) == [VisitState.CANCELED]
            assert conferences.by_id(conn, [group])[group].window == short


def test_a_message_without_an_id_changes_no_group(day: Clinic) -> None:
    before = day.visit(GROUP[0]).conference
    day.hear("S14", reference=GROUP[0])
    day.service.step(to=START + MINUTE)
    day.service.retention.round()
    day.hear("S14", reference=GROUP[0])
    assert before is not None
    assert day.visit(GROUP[0]).conference == before


def test_where_the_message_gives_the_address_each_goes_to_their_own(tmp_path: Path) -> None:
    sms = {"join_link": {"field": "OBX-5", "allowed_hosts": ["meet.example"]}}
    with clinic(tmp_path / "clinic", groups=True, sms=sms, meeting={"url": None}, lobby="none") as made:
        rooms = {GROUP[0]: "https://meet.example/first", GROUP[1]: "https://meet.example/second"}
        for reference in GROUP:
            note = f"OBX|1|ST|LINK||{rooms[reference]}\r" if reference in rooms else ""
            made.service.hear(
                unsigned(
                    "S12",
                    f"{reference}S12",
                    sent=made.service.now,
                    start=START,
                    visit="VIDEO",
                    reference=reference,
                    note="G-77",
                )
                + note.encode()
            )
        assert made.visit(GROUP[0]).conference is not None
        assert len({made.visit(reference).conference for reference in GROUP}) == 1
        made.service.step(to=START - 10 * MINUTE)
        pages = {
            reference: made.client.post(f"/j/{made.token(reference)}/go", data={"device": "d1"}, headers=SAME).text
            for reference in GROUP
        }
        addresses = [set(re.findall(r"https://meet\.example/\w+", page)) for page in pages.values()]
        assert addresses == [{rooms[GROUP[0]]}, {rooms[GROUP[1]]}, set()]
        assert "We are getting your room ready." in pages[GROUP[2]]


def test_staff_sees_the_group_together(day: Clinic) -> None:
    running: Any = SimpleNamespace(
        store=day.service.store, clock=day.service.clock, runtime_config=lambda: day.service.runtime_config
    )
    for reference in (GROUP[0], "900100", GROUP[1]):
        day.here(day.token(reference))
        day.service.step(timedelta(seconds=2))
    with browsing(visits_page.pages(StaffVisits(running=running, recorder=day.recorder))) as browser:
        page = words(browser.sign_in(Role.SUPPORT).get("/visits"))
    assert "Group visit G-77: 2 wait" in page
    assert page.index("900201") < page.index("900202") < page.index("900100")
    assert page.count("group G-77") == 2
