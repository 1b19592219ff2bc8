"""`config preview`: what a configuration would change about the texts that wait, before it is put in force. Changes nothing.

The database is opened read-only. The effect is what the reload would do: `carebell.outbound.foresee` plans with the reload's code.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from carebell.bootstrap import preflight
from carebell.bootstrap.active_config import read_in_force, waits_for_restart
from carebell.bootstrap.components import configuration_path, load, open_vault, stop_for
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.progress import progress
from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig, runtime_config
from carebell.exits import OK, ConfigurationStop, Stop
from carebell.inbound.trust import certificates_of
from carebell.outbound.foresee import Change, ForeseenChange, foresee
from carebell.sms_words import WHY, title_of
from carebell.times import iso
from config import snapshot
from config.load import Loaded
from config.load import load as load_configuration
from config.model import Environment
from config.problems import ConfigurationError
from journal.lines import plain
from scheduler.sms import SmsKind, SmsState
from store import outbox, simulated_clock
from store.crypto import Undecipherable
from store.engine import Store, Transaction, open_read_only
from store.faults import classify
from store.vault import Vault

_APPROVED: Final = ("fhir_base_url", "kind", "ehr", "sender", "authentication")
"""What an approver vouches for, besides the certificates and the keys of `sms` below (portal.md, section 11)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationEffect:
    """What putting a configuration in force would do.

    Attributes:
        changes: of texts that wait. at_once: how many of them would leave at once.
        restart: keys that wait for a restart. approval: keys that an approver vouches for.
        switched_off: environment -> texts that wait and would not go, because it is switched off or gone.
    """

    changes: tuple[ForeseenChange, ...]
    at_once: int
    restart: list[str]
    approval: list[str]
    switched_off: dict[str, int]


def preview(config: Path | None, file: Path | None, *, appointments: bool, as_json: bool) -> int:
    """Print the effect by environment, kind and day, or for each appointment.

    Args:
        file: the configuration to try, read as if it stood in the place of `config`; None: `config` itself, as it is now.
    """
    path = configuration_path(config)
    trial = _load_trial(path, file)
    print_effect(path, trial, trial if file is None else load(path), appointments=appointments, as_json=as_json)
    return OK


def print_effect(path: Path, trial: Loaded, present: Loaded, *, appointments: bool = False, as_json: bool) -> None:
    """Print what putting `trial` in force would do.

    Args:
        present: what the file at `path` says now; it names the database and its key.
    """
    store = _open(present)
    with closing(store):
        try:
            with store.read() as conn:
                now = simulated_clock.now(conn, datetime.now(UTC))
                warnings = preflight.require_sound(trial, now)
                vault = open_vault(present)
                in_force = read_in_force(conn, path, present.configuration.storage.url)
                effect = effect_of(conn, vault, trial, present if in_force is None else in_force.loaded, now)
        except Stop:
            raise
        except Undecipherable:
            raise ConfigurationStop(
                "a stored number cannot be read with this key file; see `carebell keys drop-unreadable`"
            ) from None
        except Exception as error:
            fault = classify(error)
            if fault is None:
                raise
            raise stop_for(fault) from None
    policies = runtime_config(trial).policies
    for finding in warnings:
        print(plain(f"carebell: warning: {finding.problem}"), file=sys.stderr)
    if as_json:
        _print_json(effect, policies, appointments=appointments)
    else:
        _print(effect, policies, appointments=appointments)


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
    from store import schema  # alembic: see `components.open_database`

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


# The effect


def effect_of(conn: Transaction, vault: Vault, trial: Loaded, present: Loaded, now: datetime) -> ConfigurationEffect:
    """What the reload of `trial` would do at `now` where `present` is in force. Reads only.

    Args:
        present: perhaps as `config.snapshot` stored it, without secrets; those are compared with nothing.
    """
    runtime = runtime_config(trial)
    changes: list[ForeseenChange] = []
    if trial.version != present.version:  # the reload plans nothing again for a file that says the same
        changes = list(_changes(conn, vault, runtime, now))
    return ConfigurationEffect(
        changes=tuple(changes),
        at_once=sum(_leaves_at_once(change, now) for change in changes),
        restart=_restart(present, trial),
        approval=list(_approval(present, trial, now)),
        switched_off=_switched_off(conn, runtime),
    )


def _changes(conn: Transaction, vault: Vault, runtime: RuntimeConfig, now: datetime) -> Iterator[ForeseenChange]:
    with progress("Planning", None) as step:
        for policy in runtime.policies.values():
            yield from foresee(conn, vault, policy, now, step)


def _leaves_at_once(change: ForeseenChange, now: datetime) -> bool:
    """Whether a text is due already by the new plan, and was not by the old one."""
    return change.after is not None and change.after <= now and (change.before is None or change.before > now)


def _restart(present: Loaded, trial: Loaded) -> list[str]:
    """The keys that a reload does not put in force; both sides without secrets."""
    keys = waits_for_restart(_comparable(present), _comparable(trial))
    moved = present.configuration.storage.url != trial.configuration.storage.url
    return ["storage", *keys] if moved and "storage" not in keys else keys


def _comparable(loaded: Loaded) -> Loaded:
    url = "sqlite:///compared-elsewhere.db"
    return snapshot.from_text(snapshot.to_text(loaded), path=loaded.path, version=loaded.version, url=url)


def _approval(present: Loaded, trial: Loaded, now: datetime) -> Iterator[str]:
    """The keys that differ among those that an approver vouches for; every one of a new environment."""
    before, after = _comparable(present), _comparable(trial)
    for name, environment in after.configuration.environments.items():
        known = before.configuration.environments.get(name)
        facts = _facts(trial, name, environment, now)
        known_facts = {} if known is None else _facts(present, name, known, now)
        yield from (f"environments.{name}.{key}" for key, fact in facts.items() if known_facts.get(key) != fact)


def _facts(loaded: Loaded, name: str, environment: Environment, now: datetime) -> dict[str, object]:
    """What is approved, by key: never reminder times, quiet hours, texts or caps."""
    certificates, _ = certificates_of(loaded, name, now)
    sms = environment.sms
    return {
        **{key: getattr(environment, key) for key in _APPROVED},
        "certificates": sorted(certificate.thumbprint for certificate in certificates),
        "sms.from": sms.sender,
        "sms.consent": sms.consent,
        "sms.allow_list": sms.allow_list is not None,
        "sms.join_link.allowed_hosts": sms.join_link.allowed_hosts,
    }


def _switched_off(conn: Transaction, runtime: RuntimeConfig) -> dict[str, int]:
    waiting = Counter(
        row.environment for row in outbox.rows(conn, state=SmsState.DUE) if row.environment not in runtime.policies
    )
    return dict(sorted(waiting.items()))


# What is printed


def _counts(
    effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy]
) -> dict[tuple[str, SmsKind, date], Counter[Change]]:
    counts: dict[tuple[str, SmsKind, date], Counter[Change]] = {}
    for change in effect.changes:
        day = change.at.astimezone(ZoneInfo(policies[change.environment].zone)).date()
        counts.setdefault((change.environment, change.kind, day), Counter())[change.change] += 1
    return dict(sorted(counts.items()))


def _print_json(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy], *, appointments: bool) -> None:
    if appointments:
        for change in _by_time(effect):
            print_json({
                "environment": change.environment, "appointment": change.appointment, "kind": change.kind.value,
                "rule": change.rule, "change": change.change.value, "before": iso(change.before),
                "after": iso(change.after), "reason": change.reason.value,
            })  # fmt: skip
    else:
        for (environment, kind, day), count in _counts(effect, policies).items():
            row: dict[str, Any] = {"environment": environment, "kind": kind.value, "date": day.isoformat()}
            print_json(row | {change.value: count[change] for change in Change})
    print_json({
        "restart": effect.restart, "approval": effect.approval, "switched_off": effect.switched_off,
        "at_once": effect.at_once,
    })  # fmt: skip


def _by_time(effect: ConfigurationEffect) -> list[ForeseenChange]:
    return sorted(effect.changes, key=lambda change: (change.at, change.environment, change.appointment, change.rule))


def _print(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy], *, appointments: bool) -> None:
    if appointments:
        rows: list[list[object]] = [
            [
                change.environment, change.appointment, title_of(change.kind, change.rule), change.change.value,
                _local(change.before, policies[change.environment]), _local(change.after, policies[change.environment]),
                WHY[change.reason],
            ]
            for change in _by_time(effect)
        ]  # fmt: skip
        headings = ["Environment", "Appointment", "Text", "Change", "Before", "Then", "Because"]
        print_table(headings, rows, empty="no text that waits would change", first="Appointment")
    else:
        rows = [
            [environment, kind.value, f"{day:%a %Y-%m-%d}", *(count[change] for change in Change)]
            for (environment, kind, day), count in _counts(effect, policies).items()
        ]
        headings = ["Environment", "Kind", "Day", "Planned", "Withdrawn", "Moved"]
        print_table(headings, rows, empty="no text that waits would change")
    for sentence in _sentences(effect, policies):
        print_sentence(sentence)


def _local(instant: datetime | None, policy: EnvironmentPolicy) -> str:
    return "-" if instant is None else f"{instant.astimezone(ZoneInfo(policy.zone)):%a %Y-%m-%d %H:%M}"


def _sentences(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy]) -> Iterator[str]:
    if effect.changes:
        sums = Counter(change.change for change in effect.changes)
        first = _by_time(effect)[0]
        yield (
            f"{sums[Change.PLANNED]} texts more, {sums[Change.WITHDRAWN]} fewer, {sums[Change.MOVED]} moved; "
            f"the first at {_local(first.at, policies[first.environment])}"
        )
        yield ("nobody gets a text at once" if effect.at_once == 0 else f"{effect.at_once} texts would leave at once")
    for environment, count in effect.switched_off.items():
        yield f"{environment} is switched off or gone: {count} texts wait there and would not go"
    if effect.restart:
        yield f"needs a restart: {', '.join(effect.restart)}"
    if effect.approval:
        yield f"an approver vouches for these: {', '.join(effect.approval)}"
