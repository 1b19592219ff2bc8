"""Values that the tests of this room share: one text, one configuration of texts, the built-in templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files

from ruamel.yaml import YAML

from notifier.gateway import Sms
from notifier.text import TemplateSet, TextSettings, Values
from parser.phone_number import PhoneNumber

NOW = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
PATIENT = PhoneNumber("+12025550143", "mobile")
SETTINGS = TextSettings(organization="Lamna Healthcare", contact="+1 425 555 0100", link_hosts=("video.lamna.example",))
LINK = "https://video.lamna.example/j/12345"
VALUES = Values(start=datetime(2026, 3, 9, 21, 5, tzinfo=UTC), zone="America/Los_Angeles")

SMS = Sms(
    id="0f" * 16,
    attempt=1,
    environment="production",
    appointment="900100",
    kind="reminder",
    to=PATIENT,
    sender="+14255550100",
    body="Lamna Healthcare: a reminder of your visit on Mon, Mar 9 at 2:05 PM.",
    segments=1,
    valid_for=timedelta(hours=2),
    due=NOW,
)


def sms(**changes: object) -> Sms:
    return replace(SMS, **changes)  # type: ignore[arg-type]  # each test names fields of Sms


def built_in(language: str) -> Mapping[str, object]:
    """A shipped template file as plain dicts."""
    text = files("config").joinpath("templates", f"{language}.yaml").read_text(encoding="utf-8")
    loaded: Mapping[str, object] = YAML(typ="safe").load(text)
    return loaded


def built_in_set() -> TemplateSet:
    return TemplateSet.build(built_in("en"), built_in("es"))
