"""The texts of an environment for an example appointment, as the portal's telephone shows them: by the code that sends them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from carebell.outbound.render import text_settings
from config.document import read_document
from config.load import HERE, Loaded
from config.model import Organization, Replies, SmsSettings
from config.suggestions import is_whole_zone
from notifier.reply_meaning import ReplyVocabulary
from notifier.segments import Encoding
from notifier.text import Ask, TemplateSet, TextFault, TextSettings, Unrendered, Values, render
from portal.pages.environments.sms import KINDS, LANGUAGES, TextPreview
from scheduler.reply import ReplyKind

_DAYS_AHEAD: Final = 8
_TIME: Final = time(14, 5)
_MODES: Final = {"video": "video visit", "phone": "phone visit", "in-person": "in-person visit"}
_FAULTS: Final = {
    TextFault.NO_TEMPLATE: "There is no such text.",
    TextFault.NO_START: "The time cannot be shown.",
    TextFault.MISSING_VALUE: "The text shows something that an appointment may lack.",
    TextFault.TOO_LONG: "The text is longer than `max_segments` allows, so it would not be sent.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsTexts:
    """Implements `portal.pages.environments.sms.TextsDesk`.

    Attributes:
        loaded: the configuration in force.
        account_numbers: the numbers of the gateway's account that are known already.
    """

    loaded: Callable[[], Loaded]
    account_numbers: Callable[[], Sequence[str]] = tuple

    def senders(self) -> Sequence[str]:
        configured = [environment.sms.sender for environment in self.loaded().configuration.environments.values()]
        return list(dict.fromkeys([*configured, *self.account_numbers()]))

    def texts(
        self,
        environment: str | None,
        kinds: Sequence[tuple[str, str | None]],
        time_zone: str,
        at: datetime,
        asking: Collection[str] = (),
    ) -> Sequence[TextPreview]:
        loaded = self.loaded()
        organization = loaded.configuration.organization
        section = None if environment is None else loaded.configuration.environments.get(environment)
        if environment is None or section is None:
            templates, settings = TemplateSet.build(*_built_in()), _new_settings(organization)
            replies = Replies()
        else:
            templates = TemplateSet.build(loaded.templates[environment].texts)
            settings = text_settings(organization, section.sms)
            replies = section.sms.replies
        zone = time_zone if is_whole_zone(time_zone) else "UTC"
        ask = Ask(words=ReplyVocabulary.of(replies).shown[ReplyKind.CONFIRM])
        return tuple(
            _preview(templates, settings, kind, mode, language, zone, at, ask if kind in asking else None)
            for kind, mode in kinds
            for language in templates.languages
        )


def _preview(
    templates: TemplateSet,
    settings: TextSettings,
    kind: str,
    mode: str | None,
    language: str,
    zone: str,
    at: datetime,
    ask: Ask | None,
) -> TextPreview:
    title = KINDS[kind] if mode is None else f"{KINDS[kind]}, {_MODES[mode]}"
    words = LANGUAGES.get(language, language)
    values = Values(start=_example_start(zone, at), zone=zone, ask=ask)
    text = render(templates, kind, language, mode, values, settings)
    if isinstance(text, Unrendered):
        return TextPreview(title=title, language=words, text="", problem=_FAULTS[text.fault])
    return TextPreview(
        title=title,
        language=words,
        text=text.text,
        segments=text.segments,
        characters=len(text.text),
        is_short_alphabet=text.encoding is Encoding.GSM7,
    )


def _example_start(zone: str, at: datetime) -> datetime:
    """An afternoon in the week after next at the clinic's clock."""
    day = at.astimezone(ZoneInfo(zone)).date() + timedelta(days=_DAYS_AHEAD)
    return datetime.combine(day, _TIME, tzinfo=ZoneInfo(zone))


def _built_in() -> list[dict[str, object]]:
    return [read_document(path).values for path in sorted((HERE / "templates").glob("*.yaml"))]


def _new_settings(organization: Organization) -> TextSettings:
    return text_settings(organization, SmsSettings.model_validate({"from": "+14255550100"}))
