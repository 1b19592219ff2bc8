"""`config preview`: what a trial configuration would change, shown from a database that is opened read-only."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import text as sql
from sqlalchemy.exc import OperationalError

from store.engine import open_read_only
from store.faults import StoreFault
from tests.carebell.commands.test_operate import PATIENT, book_visits
from tests.carebell.conftest import Carebell
from tests.story.clinic import opened
from tests.story.folder import change, make

NOTHING: Final = {"restart": [], "approval": [], "switched_off": {}, "at_once": 0, "certificates": []}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration on whose service visits were booked, as long before them as reminders wait."""
    configuration = make(tmp_path_factory.mktemp("lived") / "clinic")
    at = datetime.now(UTC) - timedelta(hours=1)

    async def live() -> None:
        async with opened(configuration, at=at) as clinic:
            await book_visits(clinic, at)

    asyncio.run(live())
    return configuration


@pytest.fixture
def trial(lived: Path) -> Path:
    """A copy beside the configuration, to be edited."""
    file = lived.with_name("trial.yaml")
    shutil.copy(lived, file)
    return file


def production(**sms: Any) -> dict[str, Any]:
    return {"environments": {"production": {"sms": sms}}}


def vouched(**keys: Any) -> dict[str, Any]:
    """Changes of production, which an approver vouches for."""
    return {"environments": {"production": {"approval": {"required": True, "approvers": ["dana"]}, **keys}}}


def test_the_file_itself_changes_nothing(carebell: Carebell, lived: Path) -> None:
    assert carebell("-c", lived, "config", "preview", "--json").rows == [NOTHING]
    assert carebell("-c", lived, "config", "preview").out.startswith("no text that waits would change\n")


def test_rows_by_environment_kind_and_day(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, production(reminders=[{"before": "23h"}]))
    *rows, last = carebell("-c", lived, "config", "preview", trial, "--json").rows
    assert rows
    assert last == NOTHING
    for row in rows:
        assert row.keys() == {"environment", "kind", "date", "planned", "withdrawn", "moved"}
        assert (row["environment"], row["kind"]) == ("production", "reminder")
        assert row["planned"] + row["withdrawn"] + row["moved"] > 0
    texts = carebell("-c", lived, "config", "preview", trial, "--appointments", "--json").rows[:-1]
    assert len(texts) == sum(row["planned"] + row["withdrawn"] + row["moved"] for row in rows)
    assert {text["rule"] for text in texts if text["change"] == "planned"} == {"23h"}


def test_a_person_reads_sums(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, production(reminders=[]))
    ended = carebell("-c", lived, "config", "preview", trial)
    assert ended.code == 0
    assert "0 texts more, " in ended.out
    assert "nobody gets a text at once" in ended.out
    assert PATIENT[2:] not in ended.out + ended.err


def test_a_trial_in_another_folder_stands_in_the_place_of_the_file(
    carebell: Carebell, lived: Path, trial: Path, tmp_path: Path
) -> None:
    change(trial, production(reminders=[]))
    beside = carebell("-c", lived, "config", "preview", trial, "--json").rows
    elsewhere = shutil.copy(trial, tmp_path / "mine.yaml")
    assert carebell("-c", lived, "config", "preview", elsewhere, "--json").rows == beside


@pytest.mark.parametrize(
    ("edits", "key", "expected"),
    [
        ({"log": {"level": "warning"}}, "restart", ["log"]),
        ({"gateway": {"kind": "console"}, "http": {"port": 8081}}, "restart", ["gateway", "http"]),
        ({"storage": {"url": "sqlite:///other.db"}}, "restart", ["storage"]),
        (vouched(sms={"from": "+14255550177"}), "approval", ["environments.production.sms.from"]),
        (vouched(ehr="oracle_health"), "approval", ["environments.production.ehr"]),
        (
            vouched(certificates=["certs/01-prod-rsa3072.cer"]),
            "approval",
            ["environments.production.certificates"],
        ),
        (vouched(sms={"caps": {"per_day": 9}}), "approval", []),
        ({"environments": {"production": {"ehr": "oracle_health"}}}, "approval", []),
    ],
)
def test_what_else_it_says(
    edits: dict[str, Any], key: str, expected: object, carebell: Carebell, lived: Path, trial: Path
) -> None:
    change(trial, edits)
    ended = carebell("-c", lived, "config", "preview", trial, "--json")
    assert ended.code == 0, ended.err
    assert ended.rows[-1][key] == expected


def test_an_approver_is_spoken_of_only_where_an_approval_is_needed(
    carebell: Carebell, lived: Path, trial: Path
) -> None:
    change(trial, {"environments": {"production": {"ehr": "oracle_health"}}})
    assert "approver" not in carebell("-c", lived, "config", "preview", trial).out
    change(trial, vouched())
    preview = carebell("-c", lived, "config", "preview", trial)
    assert "an approver vouches for these: environments.production.ehr" in preview.out


def test_a_certificate_that_is_used_no_more_is_named(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, {"environments": {"production": {"certificates": ["certs/10-prod-next-rsa3072.cer"]}}})
    said = carebell("-c", lived, "config", "preview", trial).out
    assert "will be refused with SIG05, and the sender must send them again; the last one came" in " ".join(
        said.split()
    )
    [row] = carebell("-c", lived, "config", "preview", trial, "--json").rows[-1]["certificates"]
    facts = carebell("cert", "show", lived.parent / "certs/01-prod-rsa3072.cer", "--json").rows[0]
    assert row["last_used"] is not None
    assert {key: row[key] for key in ("environment", "change", "thumbprint", "subject", "not_after")} == {
        "environment": "production",
        "change": "removed",
        **{key: facts[key] for key in ("thumbprint", "subject", "not_after")},
    }


def test_texts_that_an_approval_would_hold_are_said(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, {"environments": {"production": {"approval": {"required": True, "approvers": ["dana"]}}}})
    preview = carebell("-c", lived, "config", "preview", trial)
    assert "texts of production would be held until an approver has approved" in preview.out


def test_texts_of_an_environment_that_is_switched_off_are_counted(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, {"environments": {"production": {"enabled": False}}})
    waiting = carebell("-c", lived, "outbox", "--state", "due", "-e", "production", "--json").rows
    assert waiting
    preview = carebell("-c", lived, "config", "preview", trial, "--json").rows
    assert preview[-1]["switched_off"] == {"production": len(waiting)}


def test_a_faulty_trial_is_refused_with_its_places(carebell: Carebell, lived: Path, trial: Path) -> None:
    change(trial, production(reminders=[{"before": "soon"}]))
    ended = carebell("-c", lived, "config", "preview", trial)
    assert (ended.code, ended.out) == (78, "")
    assert "trial.yaml:" in ended.err
    change(trial, {"environments": {"production": {"sms": {"reminders": []}, "certificates": ["certs/none.cer"]}}})
    ended = carebell("-c", lived, "config", "preview", trial)
    assert (ended.code, ended.out) == (78, "")
    assert "none.cer" in ended.err


def test_without_a_database_nothing_waits_and_none_is_made(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "config", "preview")
    assert ended.code == 78
    assert "nothing waits" in ended.err
    assert not list(configuration.parent.glob("*.db*"))


def test_the_database_is_only_read(carebell: Carebell, lived: Path, trial: Path) -> None:
    database = lived.with_name("carebell.db")
    change(trial, production(reminders=[]))
    before = hashlib.sha256(database.read_bytes()).hexdigest()
    assert carebell("-c", lived, "config", "preview", trial).code == 0
    assert hashlib.sha256(database.read_bytes()).hexdigest() == before
    store = open_read_only(f"sqlite:///{database}")
    with pytest.raises(OperationalError, match="readonly"), store.write() as conn:
        conn.execute(sql("DELETE FROM outbox"))
    store.close()


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(StoreFault):
        open_read_only(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())
