"""The effect of a proposal as the preview shows it: foreseen in a few seconds at the most, kept as JSON without a number."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Final

from carebell.configuring.effect import (
    ConfigurationEffect,
    EffectLimits,
    effect_of,
    sentences_of_changes,
    shown_time,
    warnings_about_reminders,
)
from carebell.configuring.reminder_effect import because
from carebell.environment_policy import EnvironmentPolicy, runtime_config
from carebell.inbound.trust import ConfigurationFinding
from carebell.outbound.foresee import Change, ForeseenChange
from carebell.sms_words import title_of
from config.load import Loaded
from portal.configuration import DayCount, Effect, TextChange
from store.engine import Store
from store.vault import Vault

FIRST: Final = 10
_CHANGES: Final = {Change.PLANNED: "more", Change.WITHDRAWN: "fewer", Change.MOVED: "moved"}


def foresee(
    store: Store,
    vault: Vault,
    trial: Loaded,
    in_force: Loaded,
    warnings: Sequence[ConfigurationFinding],
    now: datetime,
    limits: EffectLimits | None = None,
) -> Effect:
    """What putting `trial` in force would do. Blocking, for as long as `limits` allow."""
    effect, policies = _effect(store, vault, trial, in_force, now, limits)
    return Effect(
        at=now,
        losses=[_capital(sentence) for sentence in warnings_about_reminders(effect)],
        sentences=[_capital(sentence) for sentence in sentences_of_changes(_texts_alone(effect), policies)],
        is_estimate=effect.is_estimate,
        days=[
            DayCount(
                environment=environment, kind=kind.value, day=day, planned=count[Change.PLANNED],
                withdrawn=count[Change.WITHDRAWN], moved=count[Change.MOVED],
            )
            for (environment, kind, day), count in effect.by_day(policies).items()
        ],
        first=[_change(change, policies) for change in effect.by_time[:FIRST]],
        restart=effect.restart,
        approval=effect.approval,
        certificates=[_capital(change.sentence) for change in effect.certificates],
        warnings=[f"{finding.problem.key} {finding.problem.why}".strip() for finding in warnings],
    )  # fmt: skip


def text_changes(
    store: Store, vault: Vault, trial: Loaded, in_force: Loaded, now: datetime, limit: int
) -> list[TextChange]:
    """The first texts that would change."""
    effect, policies = _effect(store, vault, trial, in_force, now, None)
    return [_change(change, policies) for change in effect.by_time[:limit]]


def to_json(effect: Effect) -> str:
    return json.dumps(asdict(effect), default=str)


def from_json(text: str) -> Effect:
    """What `to_json` wrote."""
    kept: dict[str, Any] = json.loads(text)
    kept["at"] = datetime.fromisoformat(kept["at"])
    kept["days"] = [DayCount(**{**row, "day": date.fromisoformat(row["day"])}) for row in kept["days"]]
    kept["first"] = [TextChange(**row) for row in kept["first"]]
    return Effect(**kept)


def _effect(
    store: Store, vault: Vault, trial: Loaded, in_force: Loaded, now: datetime, limits: EffectLimits | None
) -> tuple[ConfigurationEffect, Mapping[str, EnvironmentPolicy]]:
    with store.read() as conn:
        effect = effect_of(conn, vault, trial, in_force, now, limits=limits or EffectLimits())
    return effect, runtime_config(trial).policies


def _texts_alone(effect: ConfigurationEffect) -> ConfigurationEffect:
    """Without what the page shows in places of its own."""
    return ConfigurationEffect(
        changes=effect.changes, at_once=effect.at_once, restart=[], approval=[], switched_off=effect.switched_off,
        unapproved=effect.unapproved, coverage=effect.coverage,
    )  # fmt: skip


def _change(change: ForeseenChange, policies: Mapping[str, EnvironmentPolicy]) -> TextChange:
    policy = policies[change.environment]
    return TextChange(
        environment=change.environment,
        appointment=change.appointment,
        text=title_of(change.kind, change.rule),
        change=_CHANGES[change.change],
        before=shown_time(change.before, policy),
        after=shown_time(change.after, policy),
        reason=because(change),
    )


def _capital(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}."
