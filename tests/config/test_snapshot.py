"""What is in force survives being written down, and no secret and no number is in what is written."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel, SecretBytes, SecretStr

from config import snapshot
from config.gateways import SECRETS, GatewaySection
from config.load import Loaded, load
from config.model import Configuration
from config.section import Section
from tests.config.conftest import Write

CONTRACT = Path(__file__).with_name("contract.yaml")
_TOKEN = "0123456789abcdef0123456789abcdef"


def _round_trip(loaded: Loaded) -> Loaded:
    text = snapshot.to_text(loaded)
    return snapshot.from_text(text, path=loaded.path, version=loaded.version, url=loaded.configuration.storage.url)


def _comparable(loaded: Loaded) -> Loaded:
    """Without what is not written down: places, files, and the values that the module's docstring names."""
    environments = {
        name: environment.model_copy(
            update={"sms": environment.sms.model_copy(update={"allow_list": None, "force_to": None})}
        )
        for name, environment in loaded.configuration.environments.items()
    }
    templates = {
        name: dataclasses.replace(environment_texts, places={}) for name, environment_texts in loaded.templates.items()
    }
    configuration = loaded.configuration.model_copy(update={"environments": environments})
    return dataclasses.replace(
        loaded, configuration=configuration, templates=templates, files=(), digests={}, places={}
    )


@pytest.mark.parametrize("name", ["contract.yaml", "small.yaml", "shipped"])
def test_a_configuration_comes_back_as_it_was(name: str) -> None:
    path = Path("config/carebell.yaml").absolute() if name == "shipped" else Path(__file__).with_name(name)
    loaded = load(path, {})
    assert _comparable(_round_trip(loaded)) == _comparable(loaded)


def test_a_test_environment_stays_one_that_texts_nobody_outside(write: Write) -> None:
    read = _round_trip(load(write(), {}))
    assert read.configuration.environments["test"].sms.allow_list == []


def test_no_secret_and_no_number_is_written(write: Write) -> None:
    environ = {
        "CAREBELL_STORAGE__URL": "postgresql+psycopg://carebell:pass2@db.example/carebell",
        "CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": _TOKEN,
    }
    text = snapshot.to_text(load(write(), environ))
    for secret in ("pass2", "db.example", _TOKEN, "2025550143"):
        assert secret not in text


def _secret_keys(model: type[BaseModel], keys: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The keys of every field of `model`, and of the sections in it, whose type is or holds a secret."""
    for name, field in model.model_fields.items():
        for kind in _classes(field.annotation):
            if issubclass(kind, SecretStr | SecretBytes):
                yield (*keys, name)
            elif issubclass(kind, BaseModel):
                yield from _secret_keys(kind, (*keys, name))


def _classes(annotation: object) -> Iterator[type]:
    if isinstance(annotation, type):
        yield annotation
    for argument in get_args(annotation):
        yield from _classes(argument)


def test_the_gateways_secrets_are_all_secrets_of_the_configuration() -> None:
    assert sorted(_secret_keys(Configuration)) == sorted(secret.keys for secret in SECRETS)


@pytest.mark.parametrize("kind", get_args(GatewaySection.model_fields["kind"].annotation))
def test_no_secret_of_any_gateway_is_written_or_comes_back(write: Write, kind: str) -> None:
    values = {keys: f"{position:032x}" for position, keys in enumerate(_secret_keys(Configuration), start=1)}
    environ = {"CAREBELL_" + "__".join(keys).upper(): value for keys, value in values.items()} | {
        "CAREBELL_GATEWAY__KIND": kind,
        "CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID": "AC" + "0" * 32,
        "CAREBELL_GATEWAY__HTTP__URL": "https://sms.example/texts",
        "CAREBELL_GATEWAY__HTTP__PUBLIC_URL": "https://carebell.example",
    }
    loaded = load(write(), environ)
    assert {secret.keys: _revealed(loaded, secret.keys) for secret in SECRETS} == values
    text = snapshot.to_text(loaded)
    assert [value for value in (*values.values(), "***") if value in text] == []
    stored = snapshot.from_text(text, path=loaded.path, version=loaded.version, url=loaded.configuration.storage.url)
    assert {secret.keys: _revealed(stored, secret.keys) for secret in SECRETS} == dict.fromkeys(values)
    assert stored.configuration.gateway.kind == kind
    assert stored.configuration.gateway.http.public_url == "https://carebell.example"


def _revealed(loaded: Loaded, keys: tuple[str | int, ...]) -> str | None:
    value: object = loaded.configuration
    for key in keys:
        value = getattr(value, str(key))
    return value.get_secret_value() if isinstance(value, SecretStr) else None


def test_a_secret_is_left_out_wherever_it_stands() -> None:
    class Inner(Section):
        password: SecretStr | None = None
        name: str = ""

    class Outer(Section):
        lists: list[Inner]
        pairs: dict[str, SecretBytes]
        sections: dict[str, Inner]
        inner: Inner

    secret = Inner(password=SecretStr("sesame"), name="kept")
    outer = Outer(lists=[Inner(), secret], pairs={"a": SecretBytes(b"sesame")}, sections={"b": secret}, inner=secret)
    assert outer.model_dump(mode="json", exclude=snapshot.secret_fields(outer)) == {
        "lists": [{"password": None, "name": ""}, {"name": "kept"}],
        "pairs": {},
        "sections": {"b": {"name": "kept"}},
        "inner": {"name": "kept"},
    }


@pytest.mark.parametrize("text", ["", "[]", "{}", "null", '{"configuration": {}}', '{"configuration": {"storage": 1}}'])
def test_a_text_of_another_version_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="stored configuration"):
        snapshot.from_text(text, path=Path("carebell.yaml"), version="0", url="sqlite:///x")


def test_an_unknown_key_of_a_later_version_is_a_value_error(write: Write) -> None:
    loaded = load(write(), {})
    written = json.loads(snapshot.to_text(loaded))
    written["configuration"]["invented"] = 1
    with pytest.raises(ValueError, match="stored configuration"):
        snapshot.from_text(json.dumps(written), path=loaded.path, version="0", url="sqlite:///x")
