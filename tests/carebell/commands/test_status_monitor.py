"""`status` and `status --monitor` over one installation, with a service that runs and without: words, numbers, exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.bootstrap import components
from carebell.bootstrap.active_config import note_in_force
from carebell.inquiries import installation_state
from scheduler.sms import HoldScope
from store import alarms, gateway_contact, holds, leases
from store.alarms import RaisedAlarm
from store.engine import Store
from store.holds import Hold
from store.leases import Node
from tests.carebell.conftest import Carebell
from tests.story.folder import change, load, make

LINE = re.compile(r"CAREBELL (?P<state>OK|WARNING|CRITICAL|UNKNOWN) - (?P<words>[^|\n]+?)(?: \| (?P<data>[^|\n]+))?\n")
DATUM = re.compile(r"'[A-Za-z0-9_.-]+'=-?[0-9.]+(?:s|MB|c)?(?:;[0-9.:]*){0,2}")
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("clinic"))


@pytest.fixture(scope="module")
def shared_store(clinic: Path) -> Iterator[Store]:
    loaded = load(clinic)
    store = components.open_database(loaded, upgrade=True)
    with store.write() as conn:
        note_in_force(conn, loaded, since=NOW, now=NOW)
    yield store
    store.close()


@pytest.fixture
def store(shared_store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The database, in which nothing is wrong at first. Every port of the configuration is taken for open."""
    monkeypatch.setattr(installation_state, "_answers", lambda *_: True)
    yield shared_store
    with shared_store.write() as conn:
        holds.release(conn, HoldScope.ALL)
        holds.reset(conn, HoldScope.SENDER, "MG1")
        gateway_contact.note(conn, answered=True, failures=0, reason=None, now=NOW)
        for alarm in alarms.raised(conn):
            alarms.clear(conn, alarm)
        leases.beat(conn, node(NOW - timedelta(days=1), load_version=None))


def node(seen: datetime, *, load_version: str | None) -> Node:
    return Node(
        name="n1-1",
        roles="listener",
        version="0",
        started_at=seen,
        seen_at=seen,
        configuration=load_version,
        configured_at=seen,
    )


@pytest.fixture
def running(store: Store, clinic: Path) -> Store:
    with store.write() as conn:
        leases.beat(conn, node(datetime.now(UTC), load_version=load(clinic).version))
    return store


def lines(out: str) -> tuple[str, str, list[str]]:
    """State, words and performance data of the one line."""
    match = LINE.fullmatch(out)
    assert match is not None, out
    data = (match["data"] or "").split()
    assert [datum for datum in data if DATUM.fullmatch(datum) is None] == []
    return match["state"], match["words"], data


def test_all_is_well(carebell: Carebell, clinic: Path, running: Store) -> None:
    ended = carebell("-c", clinic, "status", "--monitor")
    state, words, data = lines(ended.out)
    assert (ended.code, state, ended.err) == (0, "OK", "")
    assert words == "2 listeners, 0 texts wait, 0 overdue, no alarm"
    assert "'waiting'=0" in data
    assert "'lag'=0s;;300" in data
    assert any(re.fullmatch(r"'certificate_days_production'=\d+;30:;7:", datum) for datum in data)


def test_without_a_service_it_is_critical(carebell: Carebell, clinic: Path, store: Store) -> None:
    ended = carebell("-c", clinic, "status", "--monitor")
    state, words, data = lines(ended.out)
    assert (ended.code, state) == (2, "CRITICAL")
    assert words == "no service runs: messages get no answer and texts wait"
    assert data


def hold(store: Store) -> None:
    with store.write() as conn:
        holds.hold(conn, Hold(scope=HoldScope.ALL, name="", reason="by | hand\n", actor="cli:x", since=NOW))


def trip(store: Store) -> None:
    with store.write() as conn:
        holds.trip(conn, HoldScope.SENDER, "MG1", code=20003, at=NOW, probe_at=NOW)


def fail(store: Store) -> None:
    with store.write() as conn:
        gateway_contact.note(conn, answered=False, failures=3, reason="not_connected", now=NOW)


def stop_a_task(store: Store) -> None:
    down = RaisedAlarm(
        alarm="task_down",
        node="n1-1",
        subject="dispatch",
        environment="",
        severity="critical",
        since=NOW,
        said_at=NOW,
        value=None,
        problem="the task dispatch ended",
    )
    with store.write() as conn:
        alarms.raise_alarm(conn, down)


@pytest.mark.parametrize(
    ("happens", "code", "words"),
    [
        (hold, 1, r"texts are held \(all\): by / hand"),
        (trip, 2, r"the gateway refuses sender MG1 with code 20003: texts wait"),
        (fail, 1, r"the gateway did not answer 3 times in a row, the last with not_connected"),
        (stop_a_task, 2, r"the task dispatch ended"),
    ],
    ids=["hold", "breaker", "gateway", "task"],
)
def test_what_is_wrong_is_said_with_its_code(
    carebell: Carebell, clinic: Path, running: Store, happens: Callable[[Store], None], code: int, words: str
) -> None:
    happens(running)
    ended = carebell("-c", clinic, "status", "--monitor")
    state, said, _ = lines(ended.out)
    assert (ended.code, state) == (code, ["OK", "WARNING", "CRITICAL"][code])
    assert re.fullmatch(words, said)
    assert carebell("-c", clinic, "status").code == 1


def test_the_worst_comes_first(carebell: Carebell, clinic: Path, running: Store) -> None:
    hold(running)
    trip(running)
    state, words, _ = lines(carebell("-c", clinic, "status", "--monitor").out)
    assert (state, words.split("; ")[0][:19]) == ("CRITICAL", "the gateway refuses")
    assert "texts are held" in words


def test_alarms_are_rows_of_status(carebell: Carebell, clinic: Path, running: Store) -> None:
    stop_a_task(running)
    [row] = carebell("-c", clinic, "status", "--json").rows[0]["alarms"]
    assert row["since"] == NOW.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert (row["alarm"], row["severity"], row["subject"], row["node"]) == ("task_down", "critical", "dispatch", "n1-1")
    assert row["advice"].endswith(".")
    text = " ".join(carebell("-c", clinic, "status").out.split())
    assert "CRITICAL task_down since " in text
    with running.write() as conn:
        leases.beat(conn, node(NOW - timedelta(days=1), load_version=None))
    assert carebell("-c", clinic, "status", "--json").rows[0]["alarms"] == []  # its node is gone, and its alarm with it


def test_json_is_one_object(carebell: Carebell, clinic: Path, running: Store) -> None:
    hold(running)
    [row] = carebell("-c", clinic, "status", "--monitor", "--json").rows
    assert (row["state"], row["code"]) == ("WARNING", 1)
    assert len(row["problems"]) == 1
    assert row["measured"]["nodes"] == 1


def test_overdue_texts_are_counted_in_status(
    carebell: Carebell, clinic: Path, running: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from store.outbox import OverdueTexts, Queue

    lag = timedelta(minutes=7)
    late = Queue(
        ready=3, waiting=9, retrying=2, overdue=4, lag=lag,
        by_environment={"production": OverdueTexts(count=4, lag=lag)}, by_state={},
    )  # fmt: skip
    monkeypatch.setattr("store.outbox.queue", lambda *_: late)
    [row] = carebell("-c", clinic, "status", "--json").rows
    assert row["queue"] == {
        "ready": 3, "waiting": 9, "overdue": 4, "retrying": 2, "lag_seconds": 420.0, "on_their_way": {},
    }  # fmt: skip
    assert [alarm["alarm"] for alarm in row["alarms"]] == ["overdue"]
    text = carebell("-c", clinic, "status").out
    assert "3 ready, 9 waiting, 4 overdue, oldest 420.0 s late, 2 tried in vain and tried again" in text
    ended = carebell("-c", clinic, "status", "--monitor")
    assert ended.code == 2
    assert {"'overdue'=4", "'retrying'=2", "'lag'=420s;;300"} <= set(lines(ended.out)[2])


# Where the installation can hardly be asked


def test_a_broken_file_is_a_warning_and_the_rest_is_still_asked(
    carebell: Carebell, clinic: Path, running: Store
) -> None:
    whole = clinic.read_text("utf-8")
    clinic.write_text(whole.replace("environments:", "enviroments:"), "utf-8")
    try:
        ended = carebell("-c", clinic, "status", "--monitor")
    finally:
        clinic.write_text(whole, "utf-8")
    state, words, data = lines(ended.out)
    assert (ended.code, state) == (1, "WARNING")
    assert words.startswith("carebell.yaml is wrong and not in force: ")
    assert data


def test_no_installation_is_unknown(carebell: Carebell, tmp_path: Path) -> None:
    ended = carebell("-c", tmp_path / "absent.yaml", "status", "--monitor")
    assert (ended.code, lines(ended.out)[0]) == (3, "UNKNOWN")


def test_a_database_that_is_down_is_critical(carebell: Carebell, tmp_path: Path) -> None:
    path = make(tmp_path / "clinic")
    change(path, {"storage": {"url": "postgresql+psycopg://nobody@127.0.0.1:1/none"}})
    ended = carebell("-c", path, "status", "--monitor")
    assert (ended.code, lines(ended.out)[0]) == (2, "CRITICAL")


def test_a_bug_is_unknown_and_says_no_value(
    carebell: Carebell, clinic: Path, running: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(_: object) -> None:
        raise RuntimeError("+12025550143")

    monkeypatch.setattr("carebell.commands.status_monitor.state_of", stumble)
    ended = carebell("-c", clinic, "status", "--monitor")
    assert (ended.code, ended.out) == (3, "CAREBELL UNKNOWN - a bug: RuntimeError; `carebell status` says more\n")


def test_the_key_file_is_not_needed(carebell: Carebell, clinic: Path, running: Store) -> None:
    key = clinic.with_name("carebell.key")
    hidden = key.rename(key.with_name("elsewhere"))
    try:
        ended = carebell("-c", clinic, "status", "--monitor")
    finally:
        hidden.rename(key)
    assert ended.code == 0, json.dumps(ended.out)
