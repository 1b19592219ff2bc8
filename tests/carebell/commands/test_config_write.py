"""`config set` and `config restore`: one key changes, the rest of the file stays, and the history says who did it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carebell.bootstrap.config_record import facts_of, record
from config.save import save
from store import audit, config_versions, schema
from store.audit import Author
from store.engine import open_store
from store.keys import read_key_file
from tests.carebell.conftest import Carebell
from tests.story import folder

FROM = "environments.production.sms.quiet_hours.from"
ALLOWED = ("+12025550177", "+12025550188")


@pytest.fixture
def started(configuration: Path) -> Path:
    """A configuration with comments that a service once put in force."""
    text = configuration.read_text("utf-8").replace("organization:", "# who we are\norganization:", 1)
    configuration.write_text(text, "utf-8")
    _activate(configuration)
    return configuration


def _activate(configuration: Path, at: datetime | None = None) -> None:
    """What a service does with a configuration that takes effect."""
    now = at or datetime.now(UTC)
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    schema.upgrade(store)
    ring = read_key_file(configuration.with_name("carebell.key"))
    with store.write() as conn:
        record(conn, facts_of(folder.load(configuration), ring, now), Author(who="file:ann", origin="node=n1"), at=now)
    store.close()


def _actions(configuration: Path) -> list[tuple[str, str, str | None, str | None]]:
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    with store.read() as conn:
        entries = [
            (entry.action, entry.subject, entry.before, entry.after)
            for entry in audit.entries(conn)
            if entry.action.startswith("config.")
        ]
    store.close()
    return entries


def test_one_key_changes_and_the_history_says_who_and_why(carebell: Carebell, started: Path) -> None:
    before = started.read_text("utf-8")
    ended = carebell("-c", started, "config", "set", FROM, "22:00", "--comment", "ticket 4711")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f'{FROM}: "21:00" -> "22:00"\n')
    assert "no text that waits would change" in ended.out
    after = started.read_text("utf-8")
    differing = [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [(old.strip(), new.strip()) for old, new in differing] == [("from: 21:00", 'from: "22:00"')]
    first, second = carebell("-c", started, "config", "history", "--json").rows
    version = folder.load(started).version
    assert (second["version"], second["base"]) == (version, first["version"])
    assert second["who"].startswith("cli:")
    assert (second["source"], second["comment"]) == ("command", "ticket 4711")
    assert second["changes"] == [{"key": FROM, "before": "21:00", "after": "22:00"}]
    assert _actions(started)[-2:] == [
        ("config.write", "configuration", first["version"], version),
        ("config.change", FROM, "21:00", "22:00"),
    ]


def test_the_history_shows_the_item_of_a_list_that_changed(carebell: Carebell, started: Path) -> None:
    key = "environments.production.sms.reminders"
    rules = "[{before: 7d}, {before: 72h, visit_modes: [in-person]}, {before: 2h, visit_modes: [video]}]"
    assert carebell("-c", started, "config", "set", key, rules).code == 0
    assert carebell("-c", started, "config", "set", f"{key}[2].visit_modes", "[video, phone]").code == 0
    text = carebell("-c", started, "config", "history").out
    [line] = [line for line in text.split(" by cli:")[-1].replace("\n", " ").split("    ") if key in line]
    before, after = line.removeprefix(f"{key}[2]: ").split(" -> ")
    assert ('["video"]' in before, '["video", "phone"]' in after) == (True, True)


def test_the_service_that_takes_it_adds_that_it_took_effect_and_once(carebell: Carebell, started: Path) -> None:
    assert carebell("-c", started, "config", "set", FROM, "22:00").code == 0
    for _ in range(2):
        _activate(started, datetime.now(UTC) + timedelta(seconds=5))
    version = folder.load(started).version
    assert len(carebell("-c", started, "config", "history", "--json").rows) == 2
    assert [entry[0] for entry in _actions(started)][-3:] == ["config.write", "config.change", "config.activate"]
    assert _actions(started)[-1][3] == version


def test_a_dry_run_writes_nothing(carebell: Carebell, started: Path) -> None:
    before = started.read_bytes()
    ended = carebell("-c", started, "config", "set", FROM, "22:00", "--dry-run")
    assert ended.code == 0
    assert ended.out.endswith("nothing was written (--dry-run)\n")
    assert started.read_bytes() == before
    assert len(carebell("-c", started, "config", "history", "--json").rows) == 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ((FROM, "25:00"), 78, "environments.production.sms.quiet_hours.from: "),
        (("environments.production.sms.quiet_hour", "{}"), 78, "did you mean"),
        (("environments.nowhere.sms.from", "x"), 78, "environments.nowhere"),
        (("environments.production.sms.caps.per_day.x", "1"), 78, "leads to nothing"),
        ((FROM,), 2, "give a value, or --remove"),
        ((FROM, "22:00", "--remove"), 2, "give a value, or --remove"),
        (("environments..sms", "1"), 2, "is no key"),
        (("", "1"), 2, "is no key"),
        (("environments.production.certificates[9]", "x.cer"), 78, "leads to nothing"),
        (("environments.production.sms.reminders.1.before", "48h"), 78, "named by its place, [0] the first"),
        (("environments.production.certificates[0]", "gone.cer"), 78, "there is no such file"),
        (("gateway.twilio.auth_token", "s3cret-s3cret"), 78, "a secret does not belong in this file"),
    ],
)
def test_what_would_not_run_is_not_written(
    words: tuple[str, ...], code: int, sentence: str, carebell: Carebell, started: Path
) -> None:
    before = started.read_bytes()
    ended = carebell("-c", started, "config", "set", *words)
    assert ended.code == code, ended.err
    assert sentence in ended.err
    assert "s3cret" not in ended.out + ended.err
    assert started.read_bytes() == before
    assert len(carebell("-c", started, "config", "history", "--json").rows) == 1


def test_a_key_that_the_environment_sets_is_not_changed_in_the_file(
    carebell: Carebell, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CAREBELL_HTTP__PORT", "9090")
    ended = carebell("-c", started, "config", "set", "http.port", "8090")
    assert ended.code == 2
    assert ended.sentence.startswith("http.port is set by the environment variable CAREBELL_HTTP__PORT")


def test_a_number_is_text_and_never_shown(carebell: Carebell, started: Path) -> None:
    key = "environments.test.sms.allow_list"
    ended = carebell("-c", started, "config", "set", key, "-", typed=f"['{ALLOWED[0]}']\n")
    assert (ended.code, ended.out.splitlines()[0]) == (0, f"{key}: changed -> changed")
    ended = carebell("-c", started, "config", "set", f"{key}[1]", ALLOWED[1], "--json")
    assert ended.rows[-1] == {
        "key": f"{key}[1]", "before": "(not set)", "after": "changed", "version": folder.load(started).version,
        "written": True,
    }  # fmt: skip
    assert folder.load(started).configuration.environments["test"].sms.allow_list == list(ALLOWED)
    stored = started.with_name("carebell.db").read_bytes()
    assert not any(number[1:].encode() in stored for number in ALLOWED)


def test_removing_a_key_and_saying_what_it_says_already(carebell: Carebell, started: Path) -> None:
    assert carebell("-c", started, "config", "set", "environments.production.sms.min_gap", "--remove").code == 0
    assert "min_gap" not in started.read_text("utf-8").partition("  test:")[0]
    assert "says so already" in carebell("-c", started, "config", "set", "http.enabled", "false").out


def test_before_the_first_start_there_is_no_history(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "config", "set", FROM, "22:00")
    assert ended.code == 0
    assert "the history begins with the first `carebell serve`" in ended.out
    assert folder.load(configuration).configuration.environments["production"].sms.quiet_hours is not None


def test_a_change_that_came_in_between_is_a_conflict(
    carebell: Carebell, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit_first(write: Callable[..., None]) -> Callable[..., None]:
        def replaced(path: Path, content: bytes, *, base: bytes) -> None:
            path.write_bytes(path.read_bytes() + b"# by hand\n")
            write(path, content, base=base)

        return replaced

    monkeypatch.setattr("carebell.configuring.saving.save", edit_first(save))
    ended = carebell("-c", started, "config", "set", FROM, "22:00")
    assert ended.code == 1
    assert ended.sentence == "carebell.yaml was changed by somebody else in the meantime; nothing was written"
    assert re.search(r"(?m)^theirs  # by hand$", ended.out)
    assert re.search(r'(?m)^base .* from: 21:00\nyours .* from: "22:00"$', ended.out)
    assert started.read_bytes().endswith(b"# by hand\n")
    assert b"22:00" not in started.read_bytes()


def test_a_key_is_set_only_on_the_version_that_was_seen(carebell: Carebell, started: Path) -> None:
    seen = folder.load(started).version
    key = "environments.test.sms.allow_list"
    assert carebell("-c", started, "config", "set", key, "-", "--base", seen, typed=f"['{ALLOWED[0]}']\n").code == 0
    seen = folder.load(started).version
    assert carebell("-c", started, "config", "set", f"{key}[1]", ALLOWED[1], "--base", seen[:8]).code == 0
    before = started.read_bytes()
    ended = carebell("-c", started, "config", "set", FROM, "22:00", "--base", seen[:8])
    assert (ended.code, started.read_bytes()) == (1, before)
    assert ended.sentence == f"carebell.yaml was changed since version {seen}; nothing was written"
    assert re.search(r'(?m)^base .* from: 21:00\nyours .* from: "22:00"$', ended.out)
    assert re.search(r"(?m)^theirs .*\*\*\*0188", ended.out)
    assert not any(number[1:] in ended.out for number in ALLOWED)
    rows = carebell("-c", started, "config", "set", FROM, "22:00", "--base", seen, "--json").rows
    assert {row["side"] for row in rows} == {"all", "base", "yours", "theirs"}
    assert carebell("-c", started, "config", "set", FROM, "22:00", "--base", "ffff").code == 1


def test_a_version_comes_back_byte_for_byte(carebell: Carebell, started: Path) -> None:
    original, version = started.read_bytes(), folder.load(started).version
    carebell("-c", started, "config", "set", FROM, "22:00")
    carebell("-c", started, "config", "set", "environments.production.sms.reminders", "[{before: 3h}]")
    shown = carebell("-c", started, "config", "restore", version[:6], "--dry-run")
    assert f"{FROM}: 22:00 -> 21:00" in shown.out
    assert started.read_bytes() != original
    ended = carebell("-c", started, "config", "restore", version[:6])
    assert ended.code == 0, ended.err
    assert started.read_bytes() == original
    newest = carebell("-c", started, "config", "history", "--json").rows[-1]
    assert (newest["version"], newest["comment"], newest["source"]) == (version, f"restores {version}", "command")


def test_numbers_come_back_as_they_were(carebell: Carebell, started: Path) -> None:
    key = "environments.test.sms.allow_list"
    carebell("-c", started, "config", "set", key, "-", typed=f"['{ALLOWED[0]}']\n")
    original, version = started.read_bytes(), folder.load(started).version
    carebell("-c", started, "config", "set", f"{key}[1]", "-", typed=f"{ALLOWED[1]}\n")
    assert carebell("-c", started, "keys", "rotate").code == 0
    assert carebell("-c", started, "config", "set", key, "-", typed=f"['{ALLOWED[1]}']\n").code == 0
    assert carebell("-c", started, "config", "restore", version).code == 0
    assert started.read_bytes() == original
    stored = started.with_name("carebell.db").read_bytes()
    assert not any(number[1:].encode() in stored for number in ALLOWED)


def test_numbers_that_the_history_keeps_no_more_stay_as_the_file_has_them(carebell: Carebell, started: Path) -> None:
    key = "environments.test.sms.allow_list"
    carebell("-c", started, "config", "set", key, "-", typed=f"['{ALLOWED[0]}']\n")
    version = folder.load(started).version
    carebell("-c", started, "config", "set", f"{key}[1]", "-", typed=f"{ALLOWED[1]}\n")
    carebell("-c", started, "config", "set", FROM, "22:00")
    _forget_texts(started)
    assert carebell("-c", started, "config", "restore", version).code == 0
    restored = folder.load(started).configuration.environments
    assert restored["test"].sms.allow_list == list(ALLOWED)
    assert restored["production"].sms.quiet_hours is not None
    other = key.replace("allow_list", "force_to")
    assert carebell("-c", started, "config", "set", other, "-", typed=f"{ALLOWED[0]}\n").code == 0
    assert carebell("-c", started, "config", "set", key, "--remove").code == 0
    _forget_texts(started)
    ended = carebell("-c", started, "config", "restore", version)
    assert ended.code == 78
    assert f"the file has none at {key}" in ended.err


def _forget_texts(configuration: Path) -> None:
    """As retention does after 400 days."""
    store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    with store.write() as conn:
        config_versions.prune(
            conn, before=datetime(2020, 1, 1, tzinfo=UTC), now=datetime.now(UTC) + timedelta(days=401)
        )
        assert all(version.sealed is None for version in config_versions.listed(conn))
    store.close()


@pytest.mark.parametrize("name", ["*** Clinic ***", "Clinic # token: hunter2", "Clinic # 312 555 0188"])
def test_what_only_looks_like_a_secret_comes_back_too(name: str, carebell: Carebell, started: Path) -> None:
    folder.change(started, {"organization": {"name": name}})
    _activate(started)
    version = folder.load(started).version
    assert carebell("-c", started, "config", "set", "organization.name", "Other").code == 0
    ended = carebell("-c", started, "config", "restore", version)
    assert ended.code == 0, ended.err
    assert folder.load(started).configuration.organization.name == name


def test_who_mends_a_broken_file_is_recorded(carebell: Carebell, started: Path) -> None:
    before = len(_actions(started))
    started.write_text(started.read_text("utf-8").replace("from: 21:00", "from: 25:00"), "utf-8")
    ended = carebell("-c", started, "config", "set", FROM, "22:00")
    assert ended.code == 0, ended.err
    assert "there is no database" not in ended.out
    assert _actions(started)[before:] == [
        ("config.write", "configuration", _actions(started)[0][3], folder.load(started).version),
        ("config.change", FROM, "21:00", "22:00"),
    ]


def test_who_names_another_database_is_recorded_in_the_old_one(carebell: Carebell, started: Path) -> None:
    ended = carebell("-c", started, "config", "set", "storage.url", "sqlite:///other.db")
    assert ended.code == 0, ended.err
    assert _actions(started)[-1][0] == "config.write"
    assert not started.with_name("other.db").exists()


def test_a_service_that_took_the_file_first_does_not_hide_who_wrote_it(
    carebell: Carebell, started: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def saved(path: Path, content: bytes, *, base: bytes) -> None:
        save(path, content, base=base)
        _activate(started)

    old = folder.load(started).version
    monkeypatch.setattr("carebell.configuring.saving.save", saved)
    assert carebell("-c", started, "config", "set", FROM, "22:00").code == 0
    assert _actions(started)[-1] == ("config.write", "configuration", old, folder.load(started).version)


def test_a_version_that_is_none_is_said_so(carebell: Carebell, started: Path) -> None:
    ended = carebell("-c", started, "config", "restore", "ffffffffffff")
    assert (ended.code, ended.out) == (1, "")
    assert "is no version; `carebell config history` lists them" in ended.sentence


def test_the_effect_on_what_waits_is_said_before_it_is_written(carebell: Carebell, started: Path) -> None:
    assert os.access(started, os.W_OK)
    rows = carebell("-c", started, "config", "set", FROM, "22:00", "--json").rows
    assert {"restart", "approval", "switched_off", "at_once"} <= rows[0].keys()
    assert rows[-1]["written"] is True


def test_a_warning_is_said_once(carebell: Carebell, started: Path) -> None:
    ended = carebell("-c", started, "config", "set", "environments.test.enabled", "false", "--dry-run")
    warnings = [line.partition("warning: ")[2] for line in (ended.out + ended.err).splitlines() if "warning: " in line]
    assert warnings
    assert len(warnings) == len(set(warnings))
