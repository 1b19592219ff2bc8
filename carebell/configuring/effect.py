"""What putting a configuration in force would do to the texts that wait, what needs a restart, and what an approver vouches for.

The effect is what the reload would do: `carebell.outbound.foresee` plans with the reload's code. Reads only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from time import monotonic
from typing import Final
from zoneinfo import ZoneInfo

from carebell.approved_facts import LEADS_TO, approved_facts
from carebell.bootstrap.active_config import waits_for_restart
from carebell.configuring.certificate_changes import CertificateChange, certificate_changes
from carebell.configuring.reminder_effect import reminder_moves, unreminded
from carebell.environment_policy import EnvironmentPolicy, RuntimeConfig, runtime_config
from carebell.outbound.approval_holds import unapproved
from carebell.outbound.foresee import Change, ForeseenChange, foresee, foresee_appointments
from carebell.outbound.replan import PAGE
from config import snapshot
from config.load import Loaded
from scheduler.sms import SmsKind, SmsState
from store import outbox
from store.engine import Transaction
from store.vault import Vault

_KEYS: Final[Mapping[str, str]] = {
    "facilities": "sender",
    "application": "sender",
    "facility": "sender",
    "processing_ids": "sender",
    "thumbprints": "certificates",
    "sms_from": "sms.from",
    "organization_allows_sending": "sms.consent",
    "attendees_have_consented": "sms.consent",
    "consent_field": "sms.consent",
    "consent_granted": "sms.consent",
    "recipients": "sms.allow_list",
}
"""Facts that an approver vouches for whose keys have other names than the facts (`ehr.fingerprint.ApprovedFacts`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectLimits:
    """How much work a foresight may be. What is beyond it is estimated from the part that was planned.

    Attributes:
        appointments: of all environments together, shared among them by their number.
        time: likewise; at least one page of each environment is planned, whatever it takes.
        seconds: a monotonic counter.
    """

    appointments: int = 20_000
    time: timedelta = timedelta(seconds=5)
    seconds: Callable[[], float] = monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How many of an environment's appointments were planned, of how many."""

    planned: int
    total: int

    @property
    def factor(self) -> float:
        """What a count is multiplied with to estimate the whole; 1: everything was planned."""
        return self.total / self.planned if 0 < self.planned < self.total else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationEffect:
    """What putting a configuration in force would do.

    Attributes:
        changes: of texts that wait. at_once: how many of them would leave at once.
        restart: keys that wait for a restart. approval: keys that an approver vouches for, of the environments that need one.
        unapproved: environments whose texts would be held until an approver has approved what they are connected to.
        switched_off: environment -> texts that wait and would not go, because it is switched off or gone.
        coverage: environment -> what of it was planned; empty: everything was.
        certificates: that come into use, and that are used no more.
    """

    changes: tuple[ForeseenChange, ...]
    at_once: int
    restart: list[str]
    approval: list[str]
    switched_off: dict[str, int]
    unapproved: Sequence[str] = ()
    coverage: Mapping[str, Coverage] = field(default_factory=dict)
    certificates: Sequence[CertificateChange] = ()

    @property
    def is_estimate(self) -> bool:
        """Whether the counts are "about"."""
        return any(coverage.factor != 1.0 for coverage in self.coverage.values())

    @property
    def by_time(self) -> list[ForeseenChange]:
        """The changes, the first in time first."""
        return sorted(self.changes, key=lambda change: (change.at, change.environment, change.appointment, change.rule))

    def sums(self) -> Counter[Change]:
        """How many texts appear, vanish and move, in all environments."""
        return self._sums(self.changes)

    def sums_beside_moves(self) -> Counter[Change]:
        """The same without reminders that only wait for another time before the visit (`reminder_moves`)."""
        moved = {change for move in reminder_moves(self.changes) for change in (move.fewer, move.more)}
        return self._sums([change for change in self.changes if change not in moved])

    def moves(self) -> Counter[str]:
        """From which time before the visit to which -> how many reminders."""
        return self._by_words((move.fewer.environment, move.words) for move in reminder_moves(self.changes))

    def unreminded(self) -> Counter[str]:
        """Why -> how many visits get no reminder any more."""
        return self._by_words((last.environment, why) for last, why in unreminded(self.changes))

    def by_day(self, policies: Mapping[str, EnvironmentPolicy]) -> dict[tuple[str, SmsKind, date], Counter[Change]]:
        """The same by environment, kind and the clinic's day, sorted."""
        counts: dict[tuple[str, SmsKind, date], Counter[Change]] = {}
        for change in self.changes:
            day = change.at.astimezone(ZoneInfo(policies[change.environment].zone)).date()
            counts.setdefault((change.environment, change.kind, day), Counter())[change.change] += 1
        return {
            key: Counter({change: self._estimated(key[0], count) for change, count in counts[key].items()})
            for key in sorted(counts)
        }

    def _sums(self, changes: Sequence[ForeseenChange]) -> Counter[Change]:
        sums: Counter[Change] = Counter()
        for (environment, change), count in Counter((row.environment, row.change) for row in changes).items():
            sums[change] += self._estimated(environment, count)
        return sums

    def _by_words(self, words_of_environments: Iterable[tuple[str, str]]) -> Counter[str]:
        sums: Counter[str] = Counter()
        for (environment, words), count in sorted(Counter(words_of_environments).items()):
            sums[words] += self._estimated(environment, count)
        return sums

    def _estimated(self, environment: str, count: int) -> int:
        return _whole(count, self.coverage.get(environment))


def effect_of(
    conn: Transaction,
    vault: Vault,
    trial: Loaded,
    present: Loaded,
    now: datetime,
    *,
    limits: EffectLimits | None = None,
    on_appointments: Callable[[int], None] = lambda _: None,
) -> ConfigurationEffect:
    """What the reload of `trial` would do at `now` (UTC) where `present` is in force.

    Args:
        conn: a transaction that may read; one snapshot for everything.
        present: perhaps as `config.snapshot` stored it, without secrets; those are compared with nothing.
        limits: None: every appointment is planned, however long it takes.
        on_appointments: called with the number of appointments of each page, for progress.

    Raises:
        Undecipherable: a stored number cannot be read with this key file.
    """
    runtime = runtime_config(trial)
    changes: list[ForeseenChange] = []
    coverage: dict[str, Coverage] = {}
    if trial.version != present.version:  # the reload plans nothing again for a file that says the same
        if limits is None:
            for policy in runtime.policies.values():
                changes += foresee(conn, vault, policy, now, on_appointments)
        else:
            changes, coverage = _sample(conn, vault, runtime, now, limits)
    return ConfigurationEffect(
        changes=tuple(changes),
        at_once=_at_once(changes, coverage, now),
        restart=_restart(present, trial),
        approval=approval_keys(present, trial),
        unapproved=sorted(unapproved(conn, runtime)),
        switched_off=_switched_off(conn, runtime),
        coverage=coverage,
        certificates=certificate_changes(conn, present, trial, now),
    )


def _sample(
    conn: Transaction, vault: Vault, runtime: RuntimeConfig, now: datetime, limits: EffectLimits
) -> tuple[list[ForeseenChange], dict[str, Coverage]]:
    """The changes of as many appointments as the limits allow, drawn evenly from all of an environment.

    An id ends in random digits, so appointments in the order of those digits are a fair draw, and the same one the next time.
    """
    ids = {
        name: sorted(outbox.ids_to_replan(conn, name, now), key=lambda own_id: own_id[::-1])
        for name in runtime.policies
    }
    total = sum(map(len, ids.values()))
    began, share = limits.seconds(), 0.0
    changes: list[ForeseenChange] = []
    coverage: dict[str, Coverage] = {}
    for name, policy in runtime.policies.items():
        share += len(ids[name]) / total if total else 1.0
        most = max(PAGE, len(ids[name]) * limits.appointments // max(total, 1))
        planned = 0
        for page in _pages(ids[name][:most]):
            if planned and limits.seconds() - began > limits.time.total_seconds() * share:
                break
            changes += foresee_appointments(conn, vault, policy, now, page)
            planned += len(page)
        coverage[name] = Coverage(planned=planned, total=len(ids[name]))
    return changes, coverage


def _pages(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[begin : begin + PAGE] for begin in range(0, len(ids), PAGE))


def _at_once(changes: Sequence[ForeseenChange], coverage: Mapping[str, Coverage], now: datetime) -> int:
    counts = Counter(change.environment for change in changes if _leaves_at_once(change, now))
    return sum(_whole(count, coverage.get(environment)) for environment, count in counts.items())


def _whole(count: int, coverage: Coverage | None) -> int:
    """A count of what was planned, as the whole of an environment would be."""
    return count if coverage is None else round(count * coverage.factor)


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


def approval_keys(present: Loaded, trial: Loaded) -> list[str]:
    """The keys that differ among those that an approver vouches for; all of a new environment, none without an approval."""
    before, after = _comparable(present), _comparable(trial)
    differing: dict[str, None] = {}
    for name, environment in after.configuration.environments.items():
        if not environment.approval.required:
            continue
        facts = asdict(approved_facts(after, name))
        known = asdict(approved_facts(before, name)) if name in before.configuration.environments else {}
        for fact, value in facts.items():
            if fact in ("environment", "write_back") or (fact in known and known[fact] == value):
                continue
            if fact == "join_host":
                differing |= dict.fromkeys(_join_keys(name, known.get(fact), value))
            else:
                differing[f"environments.{name}.{_KEYS.get(fact, fact)}"] = None
    return list(differing)


def _join_keys(name: str, before: str | None, after: str | None) -> Iterator[str]:
    """Which keys change the host of patients' links, or those of the meetings behind it."""
    if before is None or after is None:
        if after != before:
            yield f"environments.{name}.visits.join"
        return
    (host, _, meetings), (new_host, _, new_meetings) = before.partition(LEADS_TO), after.partition(LEADS_TO)
    if host != new_host:
        yield "join.public_url"
    if meetings != new_meetings:
        yield f"environments.{name}.visits.allowed_hosts"


def _switched_off(conn: Transaction, runtime: RuntimeConfig) -> dict[str, int]:
    waiting = Counter(
        row.environment for row in outbox.rows(conn, state=SmsState.DUE) if row.environment not in runtime.policies
    )
    return dict(sorted(waiting.items()))


# In words


def shown_time(instant: datetime | None, policy: EnvironmentPolicy) -> str:
    """`Tue 2026-03-03 14:00` at the clinic's clock; `-` for None."""
    return "-" if instant is None else f"{instant.astimezone(ZoneInfo(policy.zone)):%a %Y-%m-%d %H:%M}"


def warnings_about_reminders(effect: ConfigurationEffect) -> Iterator[str]:
    """Visits that get no reminder any more, as people read it: this is said first."""
    about = "about " if effect.is_estimate else ""
    for why, count in effect.unreminded().items():
        yield f"{about}{count} {'visit gets' if count == 1 else 'visits get'} no reminder any more: {why}"


def sentences(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy]) -> Iterator[str]:
    """The effect as people read it, warnings first. An estimate says "about"."""
    yield from warnings_about_reminders(effect)
    yield from sentences_of_changes(effect, policies)


def sentences_of_changes(effect: ConfigurationEffect, policies: Mapping[str, EnvironmentPolicy]) -> Iterator[str]:
    """The effect as people read it, after the warnings."""
    about = "about " if effect.is_estimate else ""
    if effect.changes:
        counts = [
            f"{about}{count} {'reminder moves' if count == 1 else 'reminders move'} {words}"
            for words, count in effect.moves().items()
        ]
        sums, first = effect.sums_beside_moves(), effect.by_time[0]
        if sums or not counts:
            counts.append(
                f"{about}{sums[Change.PLANNED]} texts more, {sums[Change.WITHDRAWN]} fewer, {sums[Change.MOVED]} moved"
            )
        yield from counts[:-1]
        yield f"{counts[-1]}; the first at {shown_time(first.at, policies[first.environment])}"
        yield (
            "nobody gets a text at once"
            if effect.at_once == 0
            else f"{about}{effect.at_once} texts would leave at once"
        )
    for environment, count in effect.switched_off.items():
        yield f"{environment} is switched off or gone: {count} texts wait there and would not go"
    for environment in effect.unapproved:
        yield f"texts of {environment} would be held until an approver has approved what it is connected to"
    yield from (change.sentence for change in effect.certificates)
    if effect.restart:
        yield f"needs a restart: {', '.join(effect.restart)}"
    if effect.approval:
        yield f"an approver vouches for these: {', '.join(effect.approval)}"
