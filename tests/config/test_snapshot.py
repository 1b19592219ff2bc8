"""What is in force survives being written down, and no secret and no number is in what is written."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from config import snapshot
from config.load import Loaded, load
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
