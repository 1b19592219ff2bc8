"""`explain`: show which field gave each value, what the other fields held and why they were not used; sum up a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from carebell.bootstrap.components import environment_named, load
from carebell.commands.files import FileMessage, message_files, messages
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.progress import with_progress
from carebell.environment_policy import EnvironmentPolicy, environment_policy
from carebell.exits import OK, REFUSED, Stop
from certs.message import UnverifiedMessage
from certs.unverified import unverified
from config.fieldmap import Identity
from journal.lines import plain
from parser import siu
from parser.er7 import Message
from parser.event import Action, Evidence, ParseWarning, Rejection, SchedulingEvent
from scheduler.succession import comparable_kinds

_NO_LINK = Evidence(
    name="join_link", value=None, field=None, candidates=(), note="no field is configured: sms.join_link.field"
)

_NUMBERS: Final = {"placer": "placer", "visit": "visit number"}
"""An id's kind -> its name in a sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One explained message: its content or why it cannot be used, the source of each value, and the warnings."""

    message: FileMessage
    outcome: SchedulingEvent | Rejection
    evidence: tuple[Evidence, ...]
    warnings: tuple[ParseWarning, ...]


def explain(config: Path | None, files: Sequence[Path], environment: str, *, conformance: bool, as_json: bool) -> int:
    """Explain each message, or sum up a folder; 1 if a message could not be used, or there is none."""
    loaded = load(config)
    environment_named(loaded, environment)
    policy = environment_policy(loaded, environment)
    if any(path.is_dir() for path in files):
        unreadable: list[str] = []
        paths = list(message_files(files))
        explanations = _skipping(with_progress("Explaining", paths, len(paths)), policy, conformance, unreadable)
        return _sum_up(explanations, unreadable, as_json)
    rejected = False
    for explained in (explained for file in files for explained in _explained(file, policy, conformance)):
        rejected = rejected or isinstance(explained.outcome, Rejection)
        (_print_json if as_json else _print_tables)(explained)
    return REFUSED if rejected else OK


def _skipping(
    files: Iterator[Path], policy: EnvironmentPolicy, conformance: bool, unreadable: list[str]
) -> Iterator[Explained]:
    """As `_explained`, for all files. An unreadable file is added to `unreadable`, and the other files are still explained."""
    for file in files:
        try:
            yield from _explained(file, policy, conformance)
        except (Stop, ValueError, OSError) as error:
            unreadable.append(str(error) if isinstance(error, Stop) else f"{file}: {error}")


def _explained(file: Path, policy: EnvironmentPolicy, conformance: bool) -> Iterator[Explained]:
    now = datetime.now(UTC)
    name, zone = policy.name, policy.environment.zone
    for message in messages(file):
        sent = unverified(message.content, environment=name, zone=zone, received_at=now)
        received = unverified(message.content, environment=name, zone=zone, received_at=sent.sent_at)
        outcome, evidence = siu.explain(received, policy.rules)
        if policy.rules.join_link_field is None and isinstance(outcome, SchedulingEvent):
            evidence = (*evidence, _NO_LINK)
        if isinstance(outcome, SchedulingEvent) and outcome.action is Action.RESCHEDULE:
            evidence = (*evidence, _replaces(outcome, policy.rules.field_map.identity))
        warnings = outcome.warnings if isinstance(outcome, SchedulingEvent) else ()
        if conformance:
            warnings += _conformance(received, policy)
        yield Explained(message=message, outcome=outcome, evidence=evidence, warnings=warnings)


def _replaces(event: SchedulingEvent, places: Sequence[Identity]) -> Evidence:
    """Whether the ids of an S13 make it a candidate to replace a visit that is known under another filler id.

    Args:
        places: where the environment's field map has the ids.
    """
    field_of: dict[str, str] = {place.kind: place.id.partition(".")[0] for place in reversed(places)}
    filler = field_of.get("filler", "filler id")
    kinds = comparable_kinds(event)
    if not kinds:
        return Evidence(
            name="replaces",
            value=None,
            field=None,
            candidates=(),
            note=f"only a message with {filler} and a placer or visit number can replace a visit under another {filler}",
        )
    numbers = " or ".join(f"{field_of[kind]} ({_NUMBERS[kind]})" for kind in kinds)
    return Evidence(
        name="replaces",
        value=f"a visit known under another {filler} that shares this {numbers}",
        field=next(place.id for place in places if place.kind == kinds[0]),
        candidates=(),
        note=f"if no visit is known under this {filler}, exactly one shares a number, and nothing speaks against it: "
        "`carebell plan` with both messages shows it",
    )


def _conformance(message: UnverifiedMessage, policy: EnvironmentPolicy) -> tuple[ParseWarning, ...]:
    from parser.conformance import report

    parsed_message = Message.of(message, policy.environment.fallback_charset)
    return tuple(report(parsed_message.text, parsed_message.version))


def _print_json(explained: Explained) -> None:
    place = explained.message.place
    if isinstance(explained.outcome, Rejection):
        outcome = explained.outcome
        print_json(place | {"name": "rejected", "value": outcome.code, "field": outcome.location,
                    "text": outcome.text, "candidates": []})  # fmt: skip
    for evidence in explained.evidence:
        row: dict[str, Any] = {"name": evidence.name, "value": evidence.value, "field": evidence.field}
        if evidence.zone is not None:
            row["zone"] = evidence.zone
        if evidence.note is not None:
            row["note"] = evidence.note
        row["candidates"] = [asdict(candidate) for candidate in evidence.candidates if candidate.why_not is not None]
        print_json(place | row)
    for warning in explained.warnings:
        print_json(place | {"name": "warning", "value": warning.code, "field": warning.field,
                    "text": warning.text, "candidates": []})  # fmt: skip


def _print_tables(explained: Explained) -> None:
    outcome = explained.outcome
    if isinstance(outcome, Rejection):
        print_sentence(f"{plain(explained.message.name)}: cannot be used: {outcome.code}: {outcome.text}")
    else:
        print(f"{plain(explained.message.name)}: {outcome.event}, {outcome.action.value}")
    rows: list[tuple[object, ...]] = []
    for evidence in explained.evidence:
        value = evidence.value if evidence.value is not None else "-"
        note = "; ".join(part for part in (evidence.zone, evidence.note) if part)
        rows.append((evidence.name, value, evidence.field or "-", note))
        for candidate in evidence.candidates:
            if candidate.why_not is not None:
                lost = f"not used: {candidate.why_not}" if candidate.value else candidate.why_not
                rows.append(("", candidate.value or "-", candidate.field, lost))
    print_table(["What", "Value", "Field", "Remark"], rows, empty="no value was found")
    for warning in explained.warnings:
        print_sentence(f"{warning.code} {warning.field or ''}: {warning.text}", lead="  warning ")


def _sum_up(explanations: Iterator[Explained], unreadable: list[str], as_json: bool) -> int:
    messages_seen = 0
    rejected: Counter[str] = Counter()
    deciding: Counter[tuple[str, str]] = Counter()
    warnings: Counter[str] = Counter()
    for explained in explanations:
        messages_seen += 1
        if isinstance(explained.outcome, Rejection):
            rejected[f"{explained.outcome.code} {explained.outcome.text}"] += 1
        for evidence in explained.evidence:
            deciding[evidence.name, evidence.field or "nothing"] += 1
        warnings.update(warning.code for warning in explained.warnings)
    fields: dict[str, dict[str, int]] = {}
    for (name, field), count in sorted(deciding.items(), key=lambda item: (item[0][0], -item[1])):
        fields.setdefault(name, {})[field] = count
    good = messages_seen > 0 and not rejected and not unreadable
    if as_json:
        summed = {"messages": messages_seen, "rejected": dict(rejected), "unreadable": unreadable}
        print_json(summed | {"warnings": dict(warnings), "fields": fields})
        return OK if good else REFUSED
    print_sentence(
        f"{messages_seen} messages, {rejected.total()} of them cannot be used; {len(unreadable)} files cannot be read"
    )
    for line in unreadable:
        print_sentence(plain(line), lead=" " * 9)
    for why, count in rejected.most_common():
        print_sentence(why, lead=f"  {count:6} ")
    rows = [
        (name, field, count, f"{count / messages_seen:.0%}")
        for name, counts in fields.items()
        for field, count in counts.items()
    ]
    print_table(["What", "Decided by", "Messages", "Share"], rows, empty="no value was found")
    print_table(["Warning", "Messages"], warnings.most_common(), empty="no warnings")
    return OK if good else REFUSED
