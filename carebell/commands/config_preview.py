"""`config preview`: what a configuration would change about the texts that wait, before it is put in force. Changes nothing.

The database is opened read-only; `carebell.configuring.effect` says what would change.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carebell.bootstrap.active_config import read_in_force
from carebell.bootstrap.components import configuration_path, load, open_vault, stop_for
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.progress import progress
from carebell.configuring.effect import ConfigurationEffect, effect_of, sentences, shown_time
from carebell.configuring.proposal import ProposalRefused, require_sound
from carebell.configuring.reminder_effect import because
from carebell.environment_policy import EnvironmentPolicy, runtime_config
from carebell.exits import OK, ConfigurationStop, Stop
from carebell.inbound.trust import ConfigurationFinding
from carebell.outbound.foresee import Change
from carebell.sms_words import title_of
from carebell.times import iso
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError
from journal.lines import plain
from store import schema, simulated_clock
from store.crypto import Undecipherable
from store.engine import Store, open_read_only
from store.faults import classify


def preview(config: Path | None, file: Path | None, *, appointments: bool, as_json: bool) -> int:
    """Print the effect by environment, kind and day, or for each appointment.

    Args:
        file: the configuration to try, read as if it stood in the place of `config`; None: `config` itself, as it is now.
    """
    path = configuration_path(config)
    trial = _load_trial(path, file)
    foreseen = foresee_effect(path, trial, trial if file is None else load(path))
    print_effect(foreseen, appointments=appointments, as_json=as_json)
    return OK


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeseenEffect:
    """What putting `trial` in force would do, and the warnings about it."""

    trial: Loaded
    effect: ConfigurationEffect
    warnings: Sequence[ConfigurationFinding]


def foresee_effect(path: Path, trial: Loaded, present: Loaded) -> ForeseenEffect:
    """What putting `trial` in force would do. ConfigurationStop if it could not start.

    Args:
        present: what the file at `path` says now; it names the database and its key.
    """
    store = _open(present)
    with closing(store):
        try:
            with store.read() as conn:
                now = simulated_clock.now(conn, datetime.now(UTC))
                warnings = require_sound(trial, now)
                vault = open_vault(present)
                in_force = read_in_force(conn, path, present.configuration.storage.url)
                replaced = present if in_force is None else in_force.loaded
                with progress("Planning", None) as step:
                    effect = effect_of(conn, vault, trial, replaced, now, on_appointments=step)
        except Stop:
            raise
        except ProposalRefused as refused:
            raise ConfigurationStop(str(refused)) from None
        except Undecipherable:
            raise ConfigurationStop(
                "a stored number cannot be read with this key file; see `carebell keys drop-unreadable`"
            ) from None
        except Exception as error:
            fault = classify(error)
            if fault is None:
                raise
            raise stop_for(fault) from None
    return ForeseenEffect(trial=trial, effect=effect, warnings=warnings)


def print_effect(foreseen: ForeseenEffect, *, appointments: bool = False, as_json: bool) -> None:
    """Print it by environment, kind and day, or for each appointment; the warnings on standard error."""
    policies = runtime_config(foreseen.trial).policies
    for finding in foreseen.warnings:
        print(plain(f"carebell: warning: {finding.problem}"), file=sys.stderr)
    if as_json:
        _print_json(foreseen.effect, policies, appointments=appointments)
    else:
        _print(foreseen.effect, policies, appointments=appointments)


def _load_trial(path: Path, file: Path | None) -> Loaded:
    try:
        return load_configuration(file or path, os.environ, folder=path.parent)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def database_exists(loaded: Loaded) -> bool:
    """False before the first `carebell serve` on SQLite; of PostgreSQL only connecting tells."""
    url = loaded.configuration.storage.url
    return not url.startswith("sqlite:///") or os.path.exists(url.removeprefix("sqlite:///"))


def _open(loaded: Loaded) -> Store:
    url = loaded.configuration.storage.url
    if not database_exists(loaded):
        why = "the database does not exist, so nothing waits: the first `carebell serve` makes it"
        raise ConfigurationStop(str(loaded.problem(("storage", "url"), why)))
    try:
        store = open_read_only(url)
        try:
            schema.require_current(store)
        except BaseException:
            store.close()
            raise
    except Exception as error:
        fault = classify(error)
        if fault is None:
            raise
        raise stop_for(fault) from None
    return store


# What is printed


def _print_json(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy], *, appointments: bool) -> None:
    if appointments:
        for change in effect.by_time:
            print_json({
                "environment": change.environment, "appointment": change.appointment, "kind": change.kind.value,
                "rule": change.rule, "change": change.change.value, "before": iso(change.before),
                "after": iso(change.after), "reason": change.reason.value,
            })  # fmt: skip
    else:
        for (environment, kind, day), count in effect.by_day(policies).items():
            row: dict[str, Any] = {"environment": environment, "kind": kind.value, "date": day.isoformat()}
            print_json(row | {change.value: count[change] for change in Change})
    print_json({
        "restart": effect.restart, "approval": effect.approval, "switched_off": effect.switched_off,
        "at_once": effect.at_once,
        "certificates": [
            {
                "environment": change.environment, "change": change.change, "subject": change.subject,
                "thumbprint": change.thumbprint, "not_after": iso(change.not_after), "last_used": iso(change.last_used),
            }
            for change in effect.certificates
        ],
    })  # fmt: skip


def _print(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy], *, appointments: bool) -> None:
    if appointments:
        rows: list[list[object]] = [
            [
                change.environment, change.appointment, title_of(change.kind, change.rule), change.change.value,
                shown_time(change.before, policies[change.environment]),
                shown_time(change.after, policies[change.environment]), because(change),
            ]
            for change in effect.by_time
        ]  # fmt: skip
        headings = ["Environment", "Appointment", "Text", "Change", "Before", "Then", "Because"]
        print_table(headings, rows, empty="no text that waits would change", first="Appointment")
    else:
        rows = [
            [environment, kind.value, f"{day:%a %Y-%m-%d}", *(count[change] for change in Change)]
            for (environment, kind, day), count in effect.by_day(policies).items()
        ]
        headings = ["Environment", "Kind", "Day", "Planned", "Withdrawn", "Moved"]
        print_table(headings, rows, empty="no text that waits would change")
    for sentence in sentences(effect, policies):
        print_sentence(sentence)
