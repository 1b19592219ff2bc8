"""`load`: what it says about wrong files, what it makes of right ones, and that nothing but the two ever comes out."""

from __future__ import annotations

import json
from datetime import time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from config.document import read_document
from config.load import Loaded, load
from config.problems import ConfigurationError, Keys, Problem, SourceLocation
from tests.config.conftest import SMALL, Write

WRONG: list[dict[str, Any]] = YAML(typ="safe", pure=True).load(Path(__file__).with_name("wrong.yaml"))
CONTRACT = Path(__file__).with_name("contract.yaml")
SHIPPED = Path(str(files("config"))) / "carebell.yaml"


@pytest.mark.parametrize("wrong", WRONG, ids=[wrong["name"].replace(" ", "_") for wrong in WRONG])
def test_says_exactly_what_is_wrong_and_where(wrong: dict[str, Any], write: Write) -> None:
    path = write(wrong.get("old"), wrong["new"])
    if "old" not in wrong:
        path.write_text(wrong["new"], encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert str(raised.value).split("\n") == wrong["said"]


def test_tells_every_problem_in_the_order_of_the_file(write: Write) -> None:
    path = write()
    text = SMALL.replace("port: 8080", "port: x").replace("name: Clinic", "nam: Clinic").replace("[T]}", "[Q]}")
    path.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert [(problem.line, problem.key) for problem in raised.value.problems] == [
        (1, "organization.nam"),
        (7, "http.port"),
        (31, "environments.test.sender.processing_ids[0]"),
    ]


@pytest.mark.parametrize("path", [CONTRACT, SHIPPED], ids=["contract", "shipped"])
def test_the_contract_and_the_shipped_file_load_without_any_other_file(path: Path) -> None:
    production = load(path, {}).configuration.environments["production"]

    assert production.sms.sender == "+14255550100"
    assert [reminder.rule for reminder in production.sms.reminders] == ["7d@10:00", "24h", "15m"]
    assert production.sms.quiet_hours is not None
    assert (production.sms.quiet_hours.begins, production.sms.quiet_hours.ends) == (time(21), time(8))
    assert production.freshness.max_age == timedelta(days=7)
    assert production.listener.tls is None


def test_the_shipped_file_says_what_the_contract_says() -> None:
    assert read_document(SHIPPED).values == read_document(CONTRACT).values


def test_paths_are_relative_to_the_file(write: Write, tmp_path: Path) -> None:
    loaded = load(write(), {})

    assert loaded.configuration.storage.url == f"sqlite:///{tmp_path}/carebell.db"
    assert loaded.configuration.storage.key_file == tmp_path / "carebell.key"
    assert loaded.configuration.environments["prod"].certificates == [tmp_path / "prod.cer"]


def test_a_test_environment_may_have_a_simulated_ehr_on_this_machine(write: Write) -> None:
    """wrong.yaml has production's refusal."""
    url = "http://127.0.0.1:8090/api/FHIR/R4"
    loaded = load(write("    kind: test", f"    kind: test\n    fhir_base_url: {url}"), {})

    assert loaded.configuration.environments["test"].fhir_base_url == url


def test_absolute_paths_stay(write: Write) -> None:
    loaded = load(write("sqlite:///carebell.db", "sqlite:////var/lib/carebell/carebell.db"), {})

    assert loaded.configuration.storage.url == "sqlite:////var/lib/carebell/carebell.db"


def test_where_names_the_key_or_its_nearest_parent(write: Write) -> None:
    loaded = load(write(), {})

    assert loaded.where(("environments", "test", "sms", "allow_list", 0)) == SourceLocation("carebell.yaml", 34, 20)
    assert loaded.where(("environments", "test", "sms", "caps", "per_day")) == SourceLocation("carebell.yaml", 32, 5)
    assert loaded.where(("nothing",)) == SourceLocation("carebell.yaml", 1, 1)
    assert str(loaded.problem(("http", "port"), "is in use")) == "carebell.yaml:7:8: http.port: is in use"


def test_every_environment_has_a_field_map_texts_and_the_answers(write: Write) -> None:
    loaded = load(write(), {})

    assert set(loaded.field_maps) == set(loaded.templates) == {"prod", "test"}
    assert loaded.answer_rows["SIG01"]["answer"] == "AR"
    assert {"en", "es"} <= set(loaded.templates["prod"].texts)


def test_own_texts_lie_over_the_built_in_ones_and_know_their_places(write: Write, tmp_path: Path) -> None:
    path = write("      reminders:", "      templates: own/texts.yaml\n      reminders:")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "texts.yaml").write_text("en:\n  booked:\n    default: Ours\n", encoding="utf-8")

    loaded = load(path, {})

    own, built_in = loaded.templates["prod"], loaded.templates["test"]
    assert own.texts["en"]["booked"]["default"] == "Ours"
    assert own.where(("en", "booked", "default")) == SourceLocation(f"{tmp_path}/own/texts.yaml", 3, 5)
    assert own.texts["es"] == built_in.texts["es"]
    assert own.texts["en"]["canceled"] == built_in.texts["en"]["canceled"]
    assert built_in.texts["en"]["booked"]["default"] != "Ours"
    assert loaded.files[:2] == (Path("carebell.yaml"), tmp_path / "own" / "texts.yaml")


def test_files_whose_content_may_change_in_place_are_known(write: Write) -> None:
    loaded = load(write("    ehr: generic\n", "    ehr: generic\n"), {})
    certificates = [
        path for environment in loaded.configuration.environments.values() for path in environment.certificates
    ]
    assert set(certificates) <= set(loaded.files)


def test_broken_texts_are_told_at_their_own_place(write: Write, tmp_path: Path) -> None:
    path = write("      reminders:", "      templates: texts.yaml\n      reminders:")
    (tmp_path / "texts.yaml").write_text("en:\n  booked: a\n  booked: b\n", encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert str(raised.value) == f"{tmp_path}/texts.yaml:3:3: en.booked: is given twice; it is already in line 2"


def test_an_empty_file_of_texts_is_not_taken_for_the_configuration(write: Write, tmp_path: Path) -> None:
    path = write("      reminders:", "      templates: texts.yaml\n      reminders:")
    (tmp_path / "texts.yaml").write_text("# none yet\n", encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert str(raised.value) == f"{tmp_path}/texts.yaml: is empty"


@pytest.mark.parametrize(("digit", "is_example"), [("x", True), ("0", False)])
def test_the_shipped_account_is_the_example_and_no_other(digit: str, is_example: bool, write: Write) -> None:
    account = f"{{account_sid: AC{digit * 32}, auth_token_file: twilio.token}}"
    path = write("kind: console\n  twilio: {public_url: https://sms.example}", f"kind: twilio\n  twilio: {account}")
    if is_example:
        with pytest.raises(ConfigurationError, match="account_sid: is still the example"):
            load(path, {})
    else:
        assert load(path, {}).configuration.gateway.twilio.account_sid == "AC" + "0" * 32


def test_an_unknown_field_map_is_told_with_those_there_are(write: Write) -> None:
    with pytest.raises(ConfigurationError) as raised:
        load(write("ehr: generic", "ehr: generik"), {})

    (problem,) = raised.value.problems
    assert (problem.line, problem.column, problem.key) == (11, 5, "environments.prod.ehr")
    assert problem.why.endswith("(did you mean generic?)")


def test_a_field_map_of_ones_own_is_read_and_its_mistakes_are_told_at_their_place(write: Write, tmp_path: Path) -> None:
    path = write("ehr: generic", "ehr: own.yaml")
    (tmp_path / "own.yaml").write_text("zebra: 1\n", encoding="utf-8")

    with pytest.raises(ConfigurationError) as raised:
        load(path, {})

    assert f"{tmp_path}/own.yaml:1:1: zebra: unknown key" in str(raised.value).split("\n")


def bomb() -> str:
    """A billion values in ten lines."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    return "\n".join([*lines, *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))])


@pytest.mark.parametrize(
    ("old", "new", "file"),
    [
        ("ehr: generic", "ehr: own.yaml", "own.yaml"),
        ("      reminders:", "      templates: own.yaml\n      reminders:", "own.yaml"),
        (None, "", "carebell.yaml"),
    ],
    ids=["field map", "texts", "configuration"],
)
def test_an_alias_bomb_is_refused_in_every_file(
    write: Write, tmp_path: Path, old: str | None, new: str, file: str
) -> None:
    path = write(old, new)
    (tmp_path / file).write_text(bomb(), encoding="utf-8")
    with pytest.raises(ConfigurationError, match="aliases make more than"):
        load(path, {})


def test_the_version_follows_what_is_configured_and_nothing_else(write: Write, tmp_path: Path) -> None:
    versions = {
        "same": load(write(), {}).version,
        "comment": load(write("http:", "# note\nhttp:"), {}).version,
        "port": load(write("port: 8080", "port: 8081"), {}).version,
        "variable": load(write(), {"CAREBELL_HTTP__PORT": "8081"}).version,
        "secret": load(write(), {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "a"}).version,
        "other secret": load(write(), {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "b"}).version,
    }
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "carebell.yaml").write_text(SMALL, encoding="utf-8")

    assert versions["comment"] == versions["same"] == load(elsewhere / "carebell.yaml", {}).version
    assert versions["port"] == versions["variable"] != versions["same"]
    assert versions["secret"] == versions["other secret"]
    assert all(len(version) == 12 for version in versions.values())


def test_own_texts_change_the_version(write: Write, tmp_path: Path) -> None:
    path = write("      reminders:", "      templates: texts.yaml\n      reminders:")
    (tmp_path / "texts.yaml").write_text("en: {booked: {default: One}}\n", encoding="utf-8")
    version_before = load(path, {}).version
    (tmp_path / "texts.yaml").write_text("en: {booked: {default: Two}}\n", encoding="utf-8")

    assert load(path, {}).version != version_before


@pytest.mark.parametrize(
    ("api", "live"),
    [
        ("https://api.twilio.com", True),
        ("https://proxy.example", True),
        ("http://127.0.0.1:9999", False),
        ("http://localhost:9999", False),
        ("http://[::1]:9999", False),
    ],
)
def test_a_live_gateway_is_known(api: str, live: bool, write: Write) -> None:
    path = write("  kind: console", "  kind: twilio")
    environ = {
        "CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
        "CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "secret",
        "CAREBELL_GATEWAY__TWILIO__API_BASE_URL": api,
    }

    assert load(path, environ).configuration.gateway.is_live is live
    assert not load(write(), environ).configuration.gateway.is_live


@pytest.mark.parametrize(("url", "live"), [("https://gateway.example/texts", True), ("http://127.0.0.1:9999", False)])
def test_an_http_gateway_is_live_where_it_is_not_this_machine(url: str, live: bool, write: Write) -> None:
    environ = {"CAREBELL_GATEWAY__HTTP__URL": url, "CAREBELL_GATEWAY__HTTP__TOKEN": "secret"}

    assert load(write("  kind: console", "  kind: http"), environ).configuration.gateway.is_live is live
    assert not load(write(), environ).configuration.gateway.is_live


def test_no_secret_stands_in_what_is_printed(write: Write) -> None:
    environ = {
        "CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "canary-token",
        "CAREBELL_GATEWAY__HTTP__TOKEN": "canary-bearer",
        "CAREBELL_GATEWAY__HTTP__WEBHOOK_SECRET": "canary-secret",
        "CAREBELL_STORAGE__URL": "postgresql+psycopg://carebell:canary-password@db/carebell",
    }
    loaded = load(write(), environ)

    assert "canary" not in repr(loaded)
    with pytest.raises(ConfigurationError) as raised:
        load(write("port: 8080", "port: x"), environ | {"CAREBELL_STORAGE__KEY_FIL": "canary-value"})
    assert "canary" not in str(raised.value)


def _problems(path: Path) -> tuple[Problem, ...] | None:
    """What is wrong; None: it loaded."""
    try:
        assert isinstance(load(path, {}), Loaded)
    except ConfigurationError as error:
        return error.problems
    return None


def test_values_of_every_wrong_type_at_every_key_are_refused_or_taken(write: Write) -> None:
    """Each key of small.yaml in turn holds each kind of value."""
    document = read_document(write())
    leaves: list[Keys] = list(document.places)
    tried = 0
    for keys in leaves:
        for value in (None, True, -1.5, "\x07", ["x"], {"x": 1}):
            values = _with(document.values, keys, value)
            path = Path("carebell.yaml")
            path.write_text(json.dumps(values), encoding="utf-8")
            tried += 1
            assert _problems(path) != ()
    assert tried > 200


def _with(values: Any, keys: Keys, value: Any) -> Any:
    if not keys:
        return value
    copy: Any = dict(values) if isinstance(values, dict) else list(values)
    copy[keys[0]] = _with(values[keys[0]], keys[1:], value)
    return copy


def test_other_content_is_judged_in_the_file_s_place(write: Write) -> None:
    """So that a change can be foreseen before it is written: the same folder, the same names, the same variables over it."""
    path = write()
    changed = path.read_bytes().replace(b"port: 8080", b"port: 8090")
    foreseen = load(path, {}, content=changed)
    assert (foreseen.configuration.http.port, load(path, {}).configuration.http.port) == (8090, 8080)
    path.write_bytes(changed)
    assert foreseen.version == load(path, {}).version
    assert foreseen.digests == load(path, {}).digests
    assert load(path, {"CAREBELL_HTTP__PORT": "8099"}, content=changed).configuration.http.port == 8099
    with pytest.raises(ConfigurationError, match=r"carebell\.yaml:7:8: http\.port: "):
        load(path, {}, content=path.read_bytes().replace(b"port: 8090", b"port: x"))
