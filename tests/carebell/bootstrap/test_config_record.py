"""Every configuration that takes effect is kept, and each key that changed is in the audit log; secrets only as `changed`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from carebell.bootstrap.config_record import ConfigFacts, changes, facts_of, record
from store import audit, config_versions, schema
from store.audit import Author
from store.engine import Store, open_store
from store.keys import read_key_file
from tests.carebell.conftest import Carebell
from tests.story import folder
from tests.story.clinic import opened

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
ANN = Author(who="file:ann", origin="node=n1")


@pytest.fixture
def store(configuration: Path) -> Iterator[Store]:
    opened_store = open_store(f"sqlite:///{configuration.with_name('carebell.db')}")
    schema.upgrade(opened_store)
    yield opened_store
    opened_store.close()


def _facts(configuration: Path) -> ConfigFacts:
    return facts_of(folder.load(configuration), read_key_file(configuration.with_name("carebell.key")), NOW)


def _record(store: Store, configuration: Path, at: datetime = NOW) -> bool:
    facts = _facts(configuration)
    with store.write() as conn:
        return record(conn, facts, ANN, at=at)


def _entries(store: Store) -> list[tuple[str, str | None, str, str | None, str | None]]:
    with store.read() as conn:
        return [(e.action, e.environment, e.subject, e.before, e.after) for e in audit.entries(conn)]


def test_the_first_one_and_its_certificates(store: Store, configuration: Path) -> None:
    assert _record(store, configuration)
    version = folder.load(configuration).version
    first, *certificates = _entries(store)
    assert first == ("config.activate", None, "configuration", None, version)
    assert [(action, environment) for action, environment, *_ in certificates] == [
        ("certificate.add", "production"), ("certificate.add", "production"), ("certificate.add", "test"),
    ]  # fmt: skip
    assert not _record(store, configuration), "the same again is no news"


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        (
            {"environments": {"production": {"sms": {"quiet_hours": {"from": "22:00", "to": "08:00"}}}}},
            ("config.change", "production", "environments.production.sms.quiet_hours.from", "21:00", "22:00"),
        ),
        ({"http": {"port": 9090}}, ("config.change", None, "http.port", "8080", "9090")),
        (
            {"environments": {"test": {"sms": {"allow_list": ["+12025550188"]}}}},
            ("config.change", "test", "environments.test.sms.allow_list", "changed", "changed"),
        ),
        (
            {"environments": {"test": {"sms": {"force_to": "+12025550188"}}}},
            ("config.change", "test", "environments.test.sms.force_to", None, "changed"),
        ),
    ],
)
def test_a_key_that_changed(
    store: Store,
    configuration: Path,
    change: dict[str, Any],
    entry: tuple[str, str | None, str, str | None, str | None],
) -> None:
    _record(store, configuration)
    before = folder.load(configuration).version
    folder.change(configuration, change)
    assert _record(store, configuration, NOW + timedelta(hours=1))
    entries = [one for one in _entries(store) if one[0] in ("config.change", "config.activate")][1:]
    assert entries[0] == ("config.activate", None, "configuration", before, folder.load(configuration).version)
    assert entry in entries
    assert "2025550188" not in json.dumps(entries)


def test_a_token_that_changed_is_seen_and_not_kept(store: Store, configuration: Path) -> None:
    token = configuration.with_name("twilio.token")
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    twilio = {"account_sid": "AC" + "5" * 32, "public_url": "https://sms.example.org"}
    folder.change(configuration, {"gateway": {"kind": "twilio", "twilio": twilio}})
    _record(store, configuration)
    token.write_text("fedcba9876543210fedcba9876543210\n")
    assert _record(store, configuration)
    assert _entries(store)[-1] == ("config.change", None, "gateway.twilio.auth_token", "changed", "changed")
    with store.read() as conn:
        assert "0123456789abcdef" not in repr([vars_of(one) for one in config_versions.listed(conn)])


def test_a_client_secret_that_changed_is_seen_and_not_kept(store: Store, configuration: Path) -> None:
    secret = configuration.with_name("oidc.secret")
    secret.write_text("sesame-of-march\n")
    secret.chmod(0o600)
    oidc = {
        "name": "Clinic",
        "issuer": "https://login.example.org",
        "client_id": "carebell",
        "client_secret_file": "oidc.secret",
        "roles": {"staff": "support"},
    }
    portal = {"enabled": True, "public_url": "https://carebell.example.org", "sign_in": {"oidc": oidc}}
    folder.change(configuration, {"portal": portal})
    _record(store, configuration)
    secret.write_text("sesame-of-april\n")
    assert _record(store, configuration)
    changed = ("config.change", None, "portal.sign_in.oidc.client_secret", "changed", "changed")
    assert _entries(store)[-1] == changed
    with store.read() as conn:
        assert "sesame" not in repr([vars_of(version) for version in config_versions.listed(conn)])


def vars_of(version: config_versions.ConfigVersion) -> dict[str, Any]:
    return {name: getattr(version, name) for name in config_versions.ConfigVersion.__dataclass_fields__}


def test_a_certificate_that_was_replaced(store: Store, configuration: Path) -> None:
    _record(store, configuration)
    folder.change(configuration, {"environments": {"production": {"certificates": ["certs/01-prod-rsa3072.cer"]}}})
    assert _record(store, configuration)
    assert [entry[:2] for entry in _entries(store) if entry[0] == "certificate.remove"] == [
        ("certificate.remove", "production")
    ]


def test_nothing_of_a_number_is_kept(store: Store, configuration: Path) -> None:
    _record(store, configuration)
    with store.read() as conn:
        [kept] = config_versions.listed(conn)
    assert "2025550143" not in repr(vars_of(kept))
    assert kept.text is not None
    assert "***0143" in kept.text


def test_a_folder_of_another_name_is_no_change(configuration: Path, tmp_path: Path) -> None:
    """Two nodes keep the same files in different places."""
    other = tmp_path / "elsewhere"
    configuration.parent.rename(other)
    moved = _facts(other / "carebell.yaml")
    other.rename(configuration.parent)
    assert changes(_facts(configuration).content, moved.content) == []


def test_old_versions_go_and_the_one_in_force_then_stays(store: Store, configuration: Path) -> None:
    for hour, port in enumerate((8080, 9090, 9091)):
        folder.change(configuration, {"http": {"port": port}})
        _record(store, configuration, NOW + timedelta(days=hour))
    with store.write() as conn:
        assert config_versions.prune(conn, before=NOW + timedelta(days=1, hours=1), now=NOW) == 1
        assert [version.seq for version in config_versions.listed(conn)] == [2, 3]


async def test_a_reload_is_in_the_history_and_resolves_a_report(configuration: Path, carebell: Carebell) -> None:
    async with opened(configuration, reloads=True) as clinic:
        first = clinic.service.loaded.version
        folder.change(configuration, {"environments": {"production": {"sms": {"min_gap": "3h"}}}})
        clinic.service.reload()
        await clinic.until(lambda: clinic.service.loaded.version != first)
        await clinic.until(lambda: len(clinic.events("audit_head")) > 1)
        second = clinic.service.loaded.version
    rows = carebell("-c", configuration, "config", "history", "--json").rows
    assert [(row["version"], row["base"]) for row in rows] == [(first, None), (second, first)]
    assert rows[1]["changes"] == [{"key": "environments.production.sms.min_gap", "before": "2h", "after": "3h"}]
    assert rows[1]["who"].startswith("file:")
    shown = carebell("-c", configuration, "config", "show", first)
    assert (shown.code, "min_gap: 2h" in shown.out, "min_gap: 3h" in shown.out) == (0, True, False)
    [row] = carebell("-c", configuration, "config", "show", second[:6], "--json").rows
    assert row["text"] is not None
    assert "environments.production.sms.min_gap: " in carebell("-c", configuration, "config", "history").out


def test_a_version_that_nobody_knows(store: Store, configuration: Path, carebell: Carebell) -> None:
    assert carebell("-c", configuration, "config", "history").code == 1
    _record(store, configuration)
    ended = carebell("-c", configuration, "config", "show", "ffffffffffff")
    assert (ended.code, ended.out) == (1, "")
    assert ended.sentence == "ffffffffffff is no version; `carebell config history` lists them"
    configuration.with_name("carebell.key").unlink()
    configuration.write_text("storage: {url: sqlite:///carebell.db}\nenviroments: {}\n")
    assert carebell("-c", configuration, "config", "history").code == 0
