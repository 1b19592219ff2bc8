"""carebell.yaml through its pages, over a store and a file: proposed, foreseen, saved, in conflict, restored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from html import unescape
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from httpx2 import Response

from carebell.bootstrap.config_record import facts_of, record, sealed_text
from carebell.staff.configuration import StaffConfiguration
from certs.cer import read_upload
from config.edit import REMOVED, Edit
from config.load import Loaded
from portal.page_request import NotAllowed
from portal.pages import configuration as pages
from portal.proposals import NotProposed, Proposed
from portal.roles import Role
from store import audit, config_versions, usage
from store.audit import Author
from store.engine import Store, open_store
from store.keys import read_key_file
from store.vault import Vault
from tests.portal.pages.staff import PASSWORD, Browser, browsing, person, session_of, words
from tests.store.conftest import migrated_file
from tests.story import folder
from tests.story.folder import CLOCK, make

__all__ = ["migrated_file"]

FROM = ("environments", "production", "sms", "quiet_hours", "from")
ALLOWED = "+12025550177"
CANARY = "<script>alert(1)</script>"
KIM = session_of(person(Role.ADMINISTRATOR))


@dataclass
class Clinic:
    """A file, a store, the desk, and a browser at its pages. `loaded`: what the service has in force."""

    path: Path
    store: Store
    vault: Vault
    loaded: Loaded
    now: datetime = CLOCK
    desk: StaffConfiguration = field(init=False)
    browser: Browser = field(init=False)

    def __post_init__(self) -> None:
        self.desk = StaffConfiguration(
            store=self.store, vault=self.vault, loaded=lambda: self.loaded, environ={}, now=lambda: self.now, node="n1"
        )

    def take(self) -> None:
        """As a reload: the file is in force, and recorded if nobody did."""
        self.loaded = folder.load(self.path)
        facts = facts_of(self.loaded, self.vault.ring, self.now)
        with self.store.write() as conn:
            sealed = sealed_text(conn, self.vault, facts, self.now)
            record(conn, facts, Author(who="file:ann", origin="node=n1"), at=self.now, sealed=sealed)

    def propose(self, *edits: Edit) -> str:
        """The id of a proposal of these edits; by default of another quiet hour."""
        proposed = self.desk.propose(KIM, edits or [Edit(FROM, "22:00")], base=self.desk.base())
        assert isinstance(proposed, Proposed), proposed
        return proposed.id

    def versions(self) -> list[tuple[str, str, str | None]]:
        with self.store.read() as conn:
            return [(version.source, version.actor, version.comment) for version in config_versions.listed(conn)]

    def save(self, proposal: str, comment: str = "ticket 4711") -> Response:
        return self.browser.post(f"/configuration/preview/{proposal}/save", {"comment": comment})

    def edit_by_hand(self, old: str, new: str) -> None:
        text = self.path.read_text("utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new, 1), "utf-8")


@pytest.fixture
def clinic(tmp_path: Path, migrated_file: Path) -> Iterator[Clinic]:
    path = make(tmp_path / "clinic", {"environments": {"test": {"sms": {"allow_list": [ALLOWED]}}}})
    database = path.with_name("carebell.db")
    database.write_bytes(migrated_file.read_bytes())
    store = open_store(f"sqlite:///{database}")
    ring = read_key_file(path.with_name("carebell.key"))
    clinic = Clinic(path, store, Vault(ring=ring), folder.load(path))
    clinic.take()
    with browsing(pages.pages(clinic.desk), now=CLOCK) as browser:
        clinic.browser = browser.sign_in(Role.ADMINISTRATOR)
        yield clinic
    assert browser.failures == []
    store.close()


def test_a_change_is_foreseen_saved_and_in_force(clinic: Clinic) -> None:
    proposal = clinic.propose()
    shown = words(clinic.browser.get(f"/configuration/preview/{proposal}"))
    assert "No text that waits would change." in shown
    assert 'from: "22:00"' in shown
    before = clinic.path.read_bytes()
    refused = clinic.save(proposal, comment="")
    assert (refused.status_code, clinic.path.read_bytes()) == (422, before)
    assert "Type why: this changes production." in words(refused)
    assert clinic.save(proposal).status_code == 303
    assert b'from: "22:00"' in clinic.path.read_bytes()
    page = clinic.browser.get(f"/configuration/preview/{proposal}")
    assert "The service takes it within seconds" in words(page)
    assert f"/configuration/preview/{proposal}/in-force?polls=1" in page.text
    clinic.take()
    part = clinic.browser.get(f"/configuration/preview/{proposal}/in-force?polls=1", part="in_force_state")
    assert "in force since" in words(part)
    assert "hx-get" not in part.text
    assert clinic.versions() == [("file", "file:ann", None), ("portal", "portal:kim", "ticket 4711")]
    with clinic.store.read() as conn:
        written = [entry for entry in audit.entries(conn) if entry.action == "config.write"]
    assert [(entry.actor, entry.origin) for entry in written] == [("portal:kim", "peer=testclient")]


def test_a_certificate_that_is_retired_is_named_with_what_becomes_of_its_messages(clinic: Clinic) -> None:
    path, next_path = clinic.loaded.configuration.environments["production"].certificates
    old, following = read_upload(path, CLOCK), read_upload(next_path, CLOCK)
    assert old.thumbprint is not None
    assert old.not_after is not None
    with clinic.store.write() as conn:
        usage.note(conn, "production", old.thumbprint, CLOCK - timedelta(seconds=5))
    proposal = clinic.propose(Edit(("environments", "production", "certificates", 0), REMOVED))
    shown = words(clinic.browser.get(f"/configuration/preview/{proposal}"))
    assert "No text that waits would change." in shown
    last_day = old.not_after.astimezone(ZoneInfo("America/Los_Angeles")).date()
    about = f"{old.subject} (thumbprint {old.thumbprint}, valid until {last_day})"
    assert f"Messages to production signed with {about} will be refused with SIG05" in shown
    assert "the sender must send them again; the last one came 5 s ago" in shown
    assert str(following.thumbprint) not in shown
    clinic.save(proposal)
    clinic.take()
    back = clinic.propose(Edit(("environments", "production", "certificates", 1), f"certs/{path.name}"))
    assert f"signed with {about} will be taken." in words(clinic.browser.get(f"/configuration/preview/{back}"))


def test_two_presses_are_one_save(clinic: Clinic) -> None:
    proposal = clinic.propose()
    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: clinic.save(proposal), range(2)))
    assert [answer.status_code for answer in answers] == [303, 303]
    assert len(clinic.versions()) == 2
    assert clinic.save(proposal).status_code == 303, "the back button shows what became of it"
    assert len(clinic.versions()) == 2


def test_what_was_saved_before_a_crash_is_recorded_by_the_next_press(clinic: Clinic) -> None:
    proposal = clinic.propose()
    written = clinic.path.read_text("utf-8").replace("from: 21:00", 'from: "22:00"')
    clinic.path.write_text(written, "utf-8")
    assert clinic.save(proposal).status_code == 303
    assert clinic.versions()[-1] == ("portal", "portal:kim", "ticket 4711")


def test_after_another_change_nothing_is_written_and_three_texts_are_shown(clinic: Clinic) -> None:
    proposal = clinic.propose()
    clinic.edit_by_hand("from: 21:00", "from: 20:30")
    by_hand = clinic.path.read_bytes()
    answer = clinic.save(proposal)
    page = words(answer)
    assert (answer.status_code, clinic.path.read_bytes()) == (409, by_hand)
    for mark in ("base", "yours", "theirs"):
        assert re.search(rf'\b{mark} .{{0,20}}from: "?2', page), mark
    assert "<script" not in answer.text.partition("</head>")[2]
    again = clinic.browser.post(f"/configuration/preview/{proposal}/again")
    assert again.status_code == 303, "by key it is clear what is wanted"
    assert clinic.save(again.headers["location"].rpartition("/")[2]).status_code == 303
    assert b'from: "22:00"' in clinic.path.read_bytes()


def test_an_old_proposal_and_one_that_is_withdrawn_cannot_be_saved(clinic: Clinic) -> None:
    old, withdrawn = clinic.propose(), clinic.propose()
    assert clinic.browser.post(f"/configuration/preview/{withdrawn}/withdraw").status_code == 303
    assert clinic.save(withdrawn).status_code == 410
    clinic.now += timedelta(hours=25)
    answer = clinic.save(old)
    assert (answer.status_code, "has expired" in words(answer)) == (410, True)
    assert b"22:00" not in clinic.path.read_bytes()
    assert clinic.browser.get("/configuration/preview/feed").status_code == 404


def test_the_file_with_its_problems_and_no_number(clinic: Clinic) -> None:
    clinic.edit_by_hand("from: 21:00", "from: 25:00")
    answer = clinic.browser.get("/configuration")
    page = words(answer)
    assert "environments.production.sms.quiet_hours.from" in page
    assert "wrong The service goes on with the version in force" in page
    line = clinic.path.read_text("utf-8").splitlines().index(next(
        line for line in clinic.path.read_text("utf-8").splitlines() if "25:00" in line
    )) + 1  # fmt: skip
    assert f'<tr id="line-{line}" class="line-bad">' in answer.text
    for text in (answer.text, clinic.browser.get("/configuration/download").text):
        assert ALLOWED[1:] not in text
        assert "***0177" in text


def _fields(page: str) -> dict[str, str]:
    """What a browser sends of the editor's form."""
    page = page.replace("\r\n", "\n")  # as HTML is read
    area = re.search(r"(?s)<textarea[^>]*>\n(.*?)</textarea>", page)
    assert area is not None
    hidden = dict(re.findall(r'(?s)<input type="hidden" name="(shown|base)" value="(.*?)">', page))
    fields = {"text": area[1], **hidden}
    return {name: unescape(value).replace("\n", "\r\n") for name, value in fields.items()}


def test_the_text_is_edited_without_its_numbers(clinic: Clinic) -> None:
    before = clinic.path.read_text("utf-8")
    page = clinic.browser.get("/configuration/edit").text
    assert ALLOWED[1:] not in page
    fields = _fields(page)
    unchanged = clinic.browser.post("/configuration/edit", fields)
    assert (unchanged.status_code, "says so already" in words(unchanged)) == (422, True)
    fields["text"] = (
        fields["text"].replace("from: 21:00", "from: 22:30").replace("organization:", "# who\r\norganization:")
    )
    answer = clinic.browser.post("/configuration/edit", fields)
    assert answer.status_code == 303, words(answer)
    assert clinic.save(answer.headers["location"].rpartition("/")[2]).status_code == 303
    wanted = before.replace("from: 21:00", "from: 22:30").replace("organization:", "# who\norganization:")
    assert clinic.path.read_text("utf-8") == wanted


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("from: 21:00", "from: 25:00", "Line "),
        ("from: 21:00", f"from: '{CANARY}'", "environments.production.sms.quiet_hours.from"),
        ("'***0177'", "'***0143'", "write it in full"),
        ("environments:", "environments: [", "Line "),
    ],
)
def test_a_text_that_cannot_be_used_comes_back_with_its_lines(
    clinic: Clinic, old: str, new: str, sentence: str
) -> None:
    fields = _fields(clinic.browser.get("/configuration/edit").text)
    old = old if old in fields["text"] else old.replace("'", "")
    new = new if "'" in old or "***" not in old else new.replace("'", "")
    assert old in fields["text"]
    fields["text"] = fields["text"].replace(old, new, 1)
    answer = clinic.browser.post("/configuration/edit", fields)
    assert (answer.status_code, sentence in words(answer)) == (422, True), words(answer)
    assert CANARY not in answer.text
    assert _fields(answer.text)["text"] == fields["text"], "nothing of what was typed is lost"


def test_a_text_of_an_older_file_is_a_conflict(clinic: Clinic) -> None:
    fields = _fields(clinic.browser.get("/configuration/edit").text)
    fields["text"] = fields["text"].replace("from: 21:00", "from: 22:30")
    clinic.edit_by_hand("from: 21:00", "from: 20:30")
    answer = clinic.browser.post("/configuration/edit", fields)
    page = words(answer)
    assert answer.status_code == 409
    assert all(time in page for time in ("21:00", "22:30", "20:30"))
    assert ALLOWED[1:] not in answer.text


def test_the_history_shows_who_and_what_and_brings_a_version_back(clinic: Clinic) -> None:
    original, first = clinic.path.read_bytes(), clinic.loaded.version
    clinic.save(clinic.propose(), comment=CANARY)
    clinic.take()
    second = clinic.loaded.version
    answer = clinic.browser.get("/configuration/history")
    page = words(answer)
    assert f"{'.'.join(FROM)}: 21:00 -> 22:00" in page
    assert "portal:kim portal production" in page
    assert CANARY not in answer.text
    assert f'href="/configuration/history/{first}-1...{second}-2"' in answer.text
    compared = words(clinic.browser.get(f"/configuration/history/{first}...{second}"))
    assert re.search(r'− .{0,20}from: 21:00 .*\+ .{0,20}from: "22:00"', compared)
    wanted = clinic.browser.get(f"/configuration/history?before={first}&after={second}")
    assert wanted.headers["location"] == f"/configuration/history/{first}...{second}"
    assert "It comes back exactly as it was." in words(clinic.browser.get(f"/configuration/history/{first}"))
    assert "This is what the file says now." in words(clinic.browser.get(f"/configuration/history/{second}"))
    for name in ("ffffffffffff", f"{first}...ffff"):
        assert clinic.browser.get(f"/configuration/history/{name}").status_code == 404
    restored = clinic.browser.post(f"/configuration/history/{first}/restore")
    assert clinic.save(restored.headers["location"].rpartition("/")[2]).status_code == 303
    assert clinic.path.read_bytes() == original


def test_two_texts_of_one_version_are_told_apart(clinic: Clinic) -> None:
    fields = _fields(clinic.browser.get("/configuration/edit").text)
    fields["text"] = fields["text"].replace("organization:", "# who\r\norganization:", 1)
    proposed = clinic.browser.post("/configuration/edit", fields).headers["location"].rpartition("/")[2]
    assert clinic.save(proposed).status_code == 303
    version = clinic.loaded.version
    assert "comments or layout alone changed" in words(clinic.browser.get("/configuration/history"))
    compared = words(clinic.browser.get(f"/configuration/history/{version}-1...{version}-2"))
    assert "+ # who" in compared
    assert clinic.browser.get(f"/configuration/history/{version}-3").status_code == 404


def test_restoring_asks_for_the_password(clinic: Clinic) -> None:
    first = clinic.loaded.version
    clinic.save(clinic.propose())
    clinic.browser.sign_in(Role.ADMINISTRATOR, confirmed=False)
    assert clinic.browser.post(f"/configuration/history/{first}/restore").status_code == 403
    answer = clinic.browser.post(f"/configuration/history/{first}/restore", {"password_or_code": PASSWORD})
    assert answer.status_code == 303


def test_where_the_file_cannot_be_written_the_change_is_a_patch(clinic: Clinic) -> None:
    clinic.edit_by_hand("organization:", "portal: {edits: read_only}\norganization:")
    clinic.take()
    proposal = clinic.propose()
    page = words(clinic.browser.get(f"/configuration/preview/{proposal}"))
    assert "portal.edits is read_only." in page
    answer = clinic.save(proposal)
    assert (answer.status_code, b"22:00" in clinic.path.read_bytes()) == (422, False)
    patch = clinic.browser.post(f"/configuration/preview/{proposal}/patch")
    lines = patch.text.splitlines()
    assert lines[:2] == ["--- carebell.yaml", "+++ carebell.yaml"]
    assert [line.strip("+- ") for line in lines if re.match("[+-] ", line)] == ["from: 21:00", 'from: "22:00"']
    with clinic.store.read() as conn:
        assert [entry.subject for entry in audit.entries(conn) if entry.action == "config.patch"] == [proposal]


def test_an_analyst_changes_the_feed_of_own_environments_alone(clinic: Clinic) -> None:
    dana = session_of(person(Role.ANALYST, ["production"]))
    own = Edit(("environments", "production", "ehr"), "oracle_health")
    proposed = clinic.desk.propose(dana, [own])
    assert isinstance(proposed, Proposed)
    for keys in (FROM, ("environments", "test", "ehr"), ("http", "port"), ("environments", "production")):
        with pytest.raises(NotAllowed):
            clinic.desk.propose(dana, [own, Edit(keys, REMOVED)])
    others = clinic.propose()
    clinic.browser.sign_in(Role.ANALYST, ["production"])
    assert clinic.browser.get(f"/configuration/preview/{proposed.id}").status_code == 200
    for path in (
        "/configuration",
        "/configuration/download",
        "/configuration/history",
        f"/configuration/preview/{others}",
    ):
        assert clinic.browser.get(path).status_code == 403, path
    assert clinic.browser.post(f"/configuration/preview/{others}/withdraw").status_code == 403
    assert clinic.save(proposed.id).status_code == 303
    clinic.browser.sign_in(Role.SUPPORT)
    assert clinic.browser.get(f"/configuration/preview/{others}").status_code == 200
    assert clinic.save(others).status_code == 403


def test_what_a_form_gets_back(clinic: Clinic) -> None:
    base = clinic.desk.base()
    wrong = clinic.desk.propose(KIM, [Edit(FROM, "25:00")], base=base)
    assert isinstance(wrong, NotProposed)
    assert [problem.key for problem in wrong.problems] == [".".join(FROM)]
    same = clinic.desk.propose(KIM, [Edit(FROM, "21:00")], base=base)
    assert isinstance(same, NotProposed)
    assert same.is_unchanged
    gone = clinic.desk.propose(KIM, [Edit(("environments", "production", "certificates", 0), "certs/gone.cer")])
    assert isinstance(gone, NotProposed)
    assert "there is no such file" in gone.problems[0].why
    clinic.edit_by_hand("from: 21:00", "from: 20:30")
    stale = clinic.desk.propose(KIM, [Edit(FROM, "22:00")], base=base)
    assert isinstance(stale, NotProposed)
    assert stale.is_stale


def test_nothing_of_a_number_is_stored_in_the_clear(clinic: Clinic) -> None:
    key = ("environments", "test", "sms", "allow_list")
    clinic.save(clinic.propose(Edit(key, [ALLOWED, "+12025550188"])))
    files = list(clinic.path.parent.glob("carebell.db*"))
    assert not any(number in file.read_bytes() for file in files for number in (b"2025550177", b"2025550188"))
