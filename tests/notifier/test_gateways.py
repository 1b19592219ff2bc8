"""The table of all gateways: every kind can be opened, and a stored code means one thing whatever the gateway is now."""

from __future__ import annotations

from collections import Counter
from io import StringIO
from pathlib import Path
from typing import get_args

import pytest

from config.gateways import GatewaySection
from config.load import load
from config.problems import ConfigurationError
from notifier.console import ConsoleGateway
from notifier.failures import Alert, Handling, ReportStatus
from notifier.file_gateway import FileGateway
from notifier.gateways import CODE_TABLES, failure_of, open_gateway, open_webhooks
from notifier.http_json.gateway import HttpJsonGateway
from notifier.twilio.gateway import TwilioGateway
from tests.config.conftest import Write
from tests.config.conftest import write as write  # the fixture
from tests.notifier.samples import NOW

TOKEN = {"CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN": "t0ken", "CAREBELL_GATEWAY__HTTP__TOKEN": "t0ken"}
PUBLIC = "https://sms.lamna.example"
SETTINGS = {
    "console": {},
    "file": {},
    "twilio": {
        "CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID": "AC" + "0123456789abcdef" * 2,
        "CAREBELL_GATEWAY__TWILIO__PUBLIC_URL": PUBLIC,
    },
    "http": {
        "CAREBELL_GATEWAY__HTTP__URL": "https://gateway.example/texts",
        "CAREBELL_GATEWAY__HTTP__PUBLIC_URL": PUBLIC,
        "CAREBELL_GATEWAY__HTTP__WEBHOOK_SECRET": "s3cret",
    },
}
GATEWAYS = {"console": ConsoleGateway, "file": FileGateway, "twilio": TwilioGateway, "http": HttpJsonGateway}
PATHS = {"console": [], "file": [], "twilio": ["/twilio/status", "/twilio/inbound"], "http": ["/gateway/events"]}


@pytest.mark.parametrize("kind", get_args(GatewaySection.model_fields["kind"].annotation))
def test_every_kind_can_be_opened(kind: str, write: Write, tmp_path: Path) -> None:
    (tmp_path / "carebell.key").touch()
    loaded = load(write(), {"CAREBELL_GATEWAY__KIND": kind, **TOKEN, **SETTINGS[kind]})
    gateway = open_gateway(loaded, lambda: NOW, StringIO())
    assert type(gateway) is GATEWAYS[kind]
    gateway.close()
    assert [webhook.path for webhook in open_webhooks(loaded)] == PATHS[kind]


@pytest.mark.parametrize("kind", ["twilio", "http"])
def test_a_secret_that_cannot_be_read_is_said_at_its_key(kind: str, write: Write) -> None:
    name = "auth_token" if kind == "twilio" else "token"
    environ = {f"CAREBELL_GATEWAY__{kind}__{name}_FILE".upper(): "absent.token"}
    loaded = load(write(), {"CAREBELL_GATEWAY__KIND": kind, **SETTINGS[kind], **environ})
    with pytest.raises(ConfigurationError, match=f"gateway.{kind}.{name}_file: there is no file absent.token"):
        open_gateway(loaded, lambda: NOW, StringIO())


def test_a_private_authority_that_is_no_certificate_is_said_at_its_key(write: Write, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    environ = {"CAREBELL_GATEWAY__KIND": "http", "CAREBELL_GATEWAY__HTTP__CERTIFICATE_AUTHORITY": "ca.pem"}
    loaded = load(write(), {**environ, **TOKEN, **SETTINGS["http"]})
    with pytest.raises(ConfigurationError, match=r"gateway\.http\.certificate_authority: is not a PEM file"):
        open_gateway(loaded, lambda: NOW, StringIO())


def test_no_two_gateways_share_a_code() -> None:
    codes = Counter(code for table in CODE_TABLES.values() for code in table)
    assert [code for code, count in codes.items() if count > 1] == []
    for table in CODE_TABLES.values():
        assert all(failure.code == code for code, failure in table.items())


def test_a_stored_code_keeps_its_meaning_after_a_change_of_gateway() -> None:
    for table in CODE_TABLES.values():
        assert all(failure_of(code) is failure for code, failure in table.items())
    unknown = failure_of(12345)
    assert (unknown.code, unknown.alert, unknown.status) == (12345, Alert.UNMAPPED, ReportStatus.OTHER)


def test_a_breaker_names_what_it_stops_and_nothing_else_does() -> None:
    for table in CODE_TABLES.values():
        for failure in table.values():
            assert (failure.breaker is not None) == (failure.handling is Handling.BREAKER)
