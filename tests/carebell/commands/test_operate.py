"""`init` and the operations: hold and release, opt-outs, purge, key rotation, upgrades."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from store.audit import entries
from store.engine import open_store
from tests.carebell.conftest import Carebell, Ended
from tests.story.clinic import Clinic, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import VECTORS, change, texts

PATIENT = "+12025550188"  # stands in no configuration
TRIAL = {"facility": "LAMNATST", "processing_id": "T"}


# init


def test_init_writes_what_works_as_it_stands(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    ended = carebell("init", folder)
    assert (ended.code, ended.err) == (0, "")
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"carebell.yaml", "carebell.key", "certs/production.cer", "certs/test.cer"}
    assert stat.S_IMODE((folder / "carebell.key").stat().st_mode) == 0o400
    assert all(name in ended.out for name in files)
    assert carebell("-c", folder / "carebell.yaml", "check-config").code == 0
    assert carebell("cert", "show", folder / "certs/production.cer").code == 0


def test_init_demo_makes_keys_and_messages_that_verify(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    assert carebell("init", folder, "--demo").code == 0
    key = folder / "keys/production.key.pem"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key, key.parent)] == [0o600, 0o700]
    messages = sorted((folder / "messages").iterdir())
    assert len(messages) == 3
    for message in messages:
        signed_file = tmp_path / message.name
        done = carebell("sign", message, "--key", key, "--cert", folder / "certs/production.cer", "-o", signed_file)
        assert done.code == 0
        assert carebell("-c", folder / "carebell.yaml", "verify", "-e", "production", signed_file).code == 0


def test_a_demonstration_key_is_good_wherever_a_rehearsal_starts(carebell: Carebell, tmp_path: Path) -> None:
    assert carebell("init", tmp_path / "new", "--demo").code == 0
    for years in (-5, 5):
        at = datetime.now(UTC) + timedelta(days=365 * years)
        shown = carebell("cert", "show", tmp_path / "new/certs/production.cer", "--at", at.isoformat(), "--json")
        assert [row["verdict"] for row in shown.rows] == ["accept"]


def test_init_never_overwrites(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    carebell("init", folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for words in ((folder,), (folder, "--demo")):
        ended = carebell("init", *words)
        assert (ended.code, ended.out) == (1, "")
        assert "nothing was written" in ended.sentence
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    # One file in the way is enough, and the others are not written either.
    other = tmp_path / "other"
    (other / "certs").mkdir(parents=True)
    (other / "certs/test.cer").write_text("mine")
    assert carebell("init", other).code == 1
    assert [path.name for path in other.rglob("*") if path.is_file()] == ["test.cer"]


# On what a service stored


def _live(configuration: Path, *, at: datetime, then: timedelta | None = None, book: bool = True) -> list[str]:
    """Book A1 in production and T1 in test at `at`, then let time pass; the kinds of texts that left, by environment."""

    async def live() -> list[str]:
        async with opened(configuration, at=at) as clinic:
            if book:
                await book_visits(clinic, at)
            left = await clinic.pass_by(then) if then is not None else []
        return [f"{text['environment']} {text['kind']}" for text in left]

    return asyncio.run(live())


async def book_visits(clinic: Clinic, at: datetime) -> None:
    visit = at + timedelta(days=18)
    await clinic.send(signed("S12", "1", sent=at, start=visit, reference="A1", phone=PATIENT))
    trial = signed("S12", "1", sent=at, start=visit, reference="T1", **TRIAL)
    await clinic.send(trial, environment="test")


def _by_day_and_night(configuration: Path) -> None:
    """No quiet hours, so that a test's hour of the day does not matter."""
    quiet = {"quiet_hours": {"from": "00:00", "to": "00:01"}, "max_lateness": "24h"}
    change(configuration, {"environments": {"production": {"sms": quiet}, "test": {"sms": quiet}}})


def test_a_hold_keeps_texts_back_until_release(carebell: Carebell, configuration: Path) -> None:
    _by_day_and_night(configuration)
    now = datetime.now(UTC)
    _live(configuration, at=now)
    assert carebell("-c", configuration, "hold", "-e", "production", "--reason", "drill").code == 0
    assert "already" in carebell("-c", configuration, "hold", "-e", "production").out
    assert _live(configuration, at=now + timedelta(minutes=5), then=timedelta(0), book=False) == ["test booked"]
    status = carebell("-c", configuration, "status", "--json")
    assert status.code == 1
    assert [(hold["scope"], hold["name"], hold["reason"]) for hold in status.rows[0]["gateway"]["holds"]] == [
        ("environment", "production", "drill")
    ]
    assert carebell("-c", configuration, "hold").code == 0
    # One environment's release leaves the hold over everything, and says so.
    assert carebell("-c", configuration, "release", "-e", "production").out == (
        "production: still held, because everything is held; `carebell release` ends that\n"
    )
    assert carebell("-c", configuration, "hold", "-e", "production").code == 0
    # Without a name it ends every hold there is, the environments' own too.
    assert "sent again" in carebell("-c", configuration, "release").out
    assert carebell("-c", configuration, "status", "--json").rows[0]["gateway"]["holds"] == []
    assert "was not held" in carebell("-c", configuration, "release").out
    assert "was not held" in carebell("-c", configuration, "release", "-e", "production").out
    later = now + timedelta(minutes=10)
    assert _live(configuration, at=later, then=timedelta(0), book=False) == ["production booked"]


def test_who_opted_out_is_not_texted(carebell: Carebell, configuration: Path) -> None:
    _by_day_and_night(configuration)
    assert "nobody has opted out" in carebell("-c", configuration, "db", "upgrade").out + (
        carebell("-c", configuration, "optout", "list").out
    )
    added = carebell("-c", configuration, "optout", "add", typed=f"{PATIENT}\n")
    assert (added.code, added.out) == (0, "***0188 will not be texted\n")
    listed = carebell("-c", configuration, "optout", "list", "--json")
    assert {(row["sender"], row["source"]) for row in listed.rows} == {
        (sender, "cli") for sender in ("*", "+14255550100", "+14255550101")
    }
    assert PATIENT[2:] not in listed.out
    now = datetime.now(UTC)
    assert _live(configuration, at=now, then=timedelta(minutes=2)) == ["test booked"]
    states = {
        (row["kind"], row["reason"])
        for row in carebell("-c", configuration, "outbox", "--appointment", "A1", "--json").rows
    }
    assert ("booked", "opted_out") in states
    sender = ("--sender", "+14255550100")
    assert carebell("-c", configuration, "optout", "remove", PATIENT, *sender).code == 0
    assert carebell("-c", configuration, "optout", "remove", PATIENT, *sender).code == 1
    assert [row["sender"] for row in carebell("-c", configuration, "optout", "list", "--json").rows] == ["+14255550101"]


def test_purge_forgets_what_is_due_and_searches_every_file(carebell: Carebell, configuration: Path) -> None:
    past = datetime.now(UTC) - timedelta(days=20)  # the visit began two days ago, and no service ran
    _live(configuration, at=past)
    search = ("-c", configuration, "purge", "--verify")
    ended = carebell(*search, typed=f"{PATIENT}\n")
    assert ended.code == 0
    assert "forgotten: 2 appointments" in ended.out
    assert ended.out.splitlines()[-2].endswith("files for its digits: not found")
    assert ended.out.splitlines()[-1] == "no visit keeps it"
    assert {row["phone"] for row in carebell("-c", configuration, "appointments", "--json").rows} == {None}
    assert PATIENT[2:] not in ended.out + ended.err
    # What it would say if a file still held the number.
    (configuration.with_name("outbox.jsonl")).write_text(f'{{"to": "{PATIENT}"}}\n')
    searched = carebell(*search, typed=f"{PATIENT}\n")
    assert searched.code == 1
    assert f"{configuration.with_name('outbox.jsonl')}: found at byte " in searched.out
    # The number may stand in the call, as it may for `optout`: then it is not asked for.
    assert carebell(*search, PATIENT).out == searched.out
    without = carebell("-c", configuration, "purge", PATIENT)
    assert (without.code, without.sentence) == (2, "a number needs --verify; nothing was done")


def test_purge_cannot_date_its_record_back(carebell: Carebell, configuration: Path) -> None:
    began = datetime.now(UTC)
    _live(configuration, at=began)
    assert carebell("-c", configuration, "purge", "--at", "2020-01-01T00:00:00Z").code == 0
    row = carebell("-c", configuration, "audit", "--what", "purge", "--json").rows[-1]
    assert row["who"].startswith("cli:")
    assert datetime.fromisoformat(row["time"]) >= began


def test_purge_asks_for_a_usable_number_before_it_forgets(carebell: Carebell, configuration: Path) -> None:
    _live(configuration, at=datetime.now(UTC) - timedelta(days=20))
    for typed in ("", "0143\n", "+1202555014x\n"):
        ended = carebell("-c", configuration, "purge", "--verify", typed=typed)
        assert (ended.code, ended.out) == (2, "")
        assert ended.sentence == "write the number in E.164, such as +12025550143"


def test_purge_says_which_visits_keep_a_number_and_until_when(carebell: Carebell, configuration: Path) -> None:
    """Nothing is due: no file holds the digits, and still the number can be had until the visit begins."""
    carebell("-c", configuration, "db", "upgrade")
    held = carebell("-c", configuration, "hold")
    assert held.code == 0, "the file gateway writes the digits of what is sent, so nothing may be sent by day either"
    now = datetime.now(UTC)
    _live(configuration, at=now, then=timedelta(minutes=2))
    carebell("-c", configuration, "optout", "add", PATIENT)
    ended = carebell("-c", configuration, "purge", "--verify", PATIENT)
    [row] = carebell("-c", configuration, "appointments", "--appointment", "A1", "--json").rows
    begins = datetime.fromisoformat(row["start"]).astimezone(ZoneInfo("America/Los_Angeles"))
    assert ended.code == 1
    *_, searched, kept, counted, hashed = ended.out.splitlines()
    assert searched.endswith("files for its digits: not found")
    assert kept.startswith(f"kept encrypted for production A1: active, until it begins, {begins:%Y-%m-%d %H:%M %Z}")
    assert counted == "kept encrypted for 1 visit, as listed"
    assert hashed == "its keyed hash is in the opt-out list until the patient texts START"
    assert "T1" not in ended.out, "another number's visit"
    assert PATIENT[2:] not in ended.out


def test_purge_does_not_call_an_unreadable_number_gone(carebell: Carebell, configuration: Path) -> None:
    """Whose number it is cannot be known without the key; `keys drop-unreadable` ends that, and only when told twice."""
    _live(configuration, at=datetime.now(UTC))
    key_file = configuration.with_name("carebell.key")
    other = json.loads(key_file.read_text("ascii"))
    other["masters"] = {"1": "ab" * 32}
    key_file.chmod(0o600)
    key_file.write_text(json.dumps(other))
    searched = carebell("-c", configuration, "purge", "--verify", PATIENT)
    assert searched.code == 1
    assert "2 visits keep a number that no key of the file can decrypt" in searched.out

    asked = carebell("-c", configuration, "keys", "drop-unreadable")
    assert (asked.code, "Nothing was done." in asked.out) == (1, True)
    done = carebell("-c", configuration, "keys", "drop-unreadable", "--yes")
    # The keys of the visits' day, and of the day until which the configuration's text is kept.
    assert (done.code, done.out) == (0, "deleted: 2 day keys; 2 visits wait for a message with their number\n")
    again = carebell("-c", configuration, "keys", "drop-unreadable", "--yes")
    assert (again.code, again.out) == (0, "the key file can unwrap every day key; nothing was done\n")
    assert carebell("-c", configuration, "purge", "--verify", PATIENT).code == 0
    with closing(open_store(f"sqlite:///{configuration.with_name('carebell.db')}")) as store, store.read() as conn:
        actions = [entry.action for entry in entries(conn)]
    assert actions[-3:] == ["keys.drop", "number.search", "purge"]


def test_a_service_that_got_the_key_from_systemd_must_be_started_again(
    carebell: Carebell, configuration: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carebell("-c", configuration, "db", "upgrade")
    copy = tmp_path / "clinic_carebell.key"
    copy.touch()
    monkeypatch.setattr("carebell.commands.keys.copy_of", lambda _file: copy)
    ended = carebell("-c", configuration, "keys", "rotate")
    assert "run `systemctl restart carebell` now" in " ".join(ended.out.split())


def test_after_a_rotation_the_service_reads_what_was_stored_before(carebell: Carebell, configuration: Path) -> None:
    _by_day_and_night(configuration)
    now = datetime.now(UTC)
    _live(configuration, at=now)
    before = configuration.with_name("carebell.key").read_bytes()
    for _ in range(2):
        ended = carebell("-c", configuration, "keys", "rotate")
        assert ended.code == 0
        assert "reads the new key by itself" in ended.out
        assert "the previous key was removed from the file" in ended.out
    after = configuration.with_name("carebell.key").read_bytes()
    assert after != before
    assert stat.S_IMODE(configuration.with_name("carebell.key").stat().st_mode) == 0o400
    left = _live(configuration, at=now + timedelta(minutes=2), then=timedelta(minutes=1), book=False)
    assert sorted(left) == ["production booked", "test booked"]
    assert {text["to"] for text in texts(configuration.parent)} >= {PATIENT}
    # The old key alone opens nothing any more.
    key = configuration.with_name("carebell.key")
    key.unlink()
    key.write_bytes(before)
    key.chmod(0o400)
    assert carebell("-c", configuration, "appointments").code in (1, 78)


def test_the_tables_are_brought_up_to_date_once(carebell: Carebell, configuration: Path) -> None:
    first, second = carebell("-c", configuration, "db", "upgrade"), carebell("-c", configuration, "db", "upgrade")
    assert (first.code, second.code) == (0, 0)
    assert "(was empty)" in first.out
    assert "was" not in second.out.replace("database was", "")


# send, against a service


async def test_send_prints_each_answer(configuration: Path) -> None:
    now = datetime.now(UTC)
    folder = configuration.parent
    for number, phone in enumerate((PATIENT, "+12025550143")):
        message = unsigned(
            "S12", f"S{number}", sent=now, start=now + timedelta(days=9), reference=f"A{number}", phone=phone
        )
        (folder / f"{number}.hl7").write_bytes(message)
    pair = ("--key", VECTORS / "keys/prod-rsa3072.key.pem", "--cert", VECTORS / "certs/accept/01-prod-rsa3072.cer")
    async with opened(configuration, at=now) as clinic:
        to = ("--to", f"127.0.0.1:{clinic.port()}")
        refused = await _shell("send", "--json", folder / "0.hl7", *to)
        assert [(row["control_id"], row["answer"]) for row in refused.rows] == [("S0", "AR")]
        assert refused.code == 1
        sent = await _shell("send", "--json", folder / "0.hl7", folder / "1.hl7", *to, *pair, "--connections", "2")
        assert sorted((row["control_id"], row["answer"]) for row in sent.rows) == [("S0", "AA"), ("S1", "AA")]
        assert all(row["milliseconds"] > 0 for row in sent.rows)
        assert sent.code == 0
        again = await _shell("send", folder / "0.hl7", *to, *pair, "--repeat", "3")
        assert again.code == 0
        assert [line.split(" (")[0] for line in again.out.splitlines()] == [f"{folder / '0.hl7'}: S0: AA"] * 3
        assert clinic.counts()["appointments"] == 2


async def _shell(*words: object) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "carebell",
        *map(str, words),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())
