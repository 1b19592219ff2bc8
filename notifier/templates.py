"""Templates as values: the YAML's plain dicts, checked for structure and parsed once; pure.

A set consists of layers (`config/templates/*.yaml`, then an environment's own file), each `{language: {opt_out: words,
kind: {visit mode | default: text}, answer: {rule: text}}}`. A later layer replaces single texts of an earlier one.

A text holds `{placeholders}` of the fixed list below, and optional parts in square brackets: `[ Join: {join_link} ]` is left
out when one of its placeholders has no value, or when the text would be too long. `[[` and `]]` are literal brackets, `{{` and
`}}` literal braces. Values are put in place once and never read as a template.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from string import Formatter
from typing import Final

from notifier.dates import fallbacks
from notifier.segments import fold

KINDS: Final = ("booked", "updated", "canceled", "reminder")
VISIT_MODES: Final = ("in-person", "video", "phone")
DEFAULT_MODE: Final = "default"
OPT_OUT: Final = "opt_out"
ANSWER: Final = "answer"
"""The texts that answer a patient's reply."""
ONE_VISIT: Final = "one_visit"
WHICH_VISIT: Final = "which_visit"
ANSWERS: Final = ("confirmed", "cannot_come", "call_me", "moved", WHICH_VISIT, ONE_VISIT, "unknown")
"""The keys of `ANSWER`. `one_visit` is a line of `which_visit`."""

ALWAYS: Final = frozenset({"organization", "contact", "opt_out", "date", "long_date", "weekday"})
"""Placeholders that always have a value."""
DETAILS: Final = ("facility", "location", "provider", "join_link", "patient_name")
"""Placeholders of the appointment's details. They may be missing, so they must be in an optional part."""
REPLY: Final = "reply"
"""What to answer: C, or C2. Missing in a text that does not ask."""
PLACEHOLDERS: Final = ALWAYS | {"time", REPLY} | set(DETAILS)
"""`time` is missing for a date-only appointment, so it must be in an optional part too."""
LIST_PLACEHOLDERS: Final = frozenset({"count", "visits"})
"""Of `which_visit` alone."""

Path = tuple[str, ...]

_SPACES: Final = re.compile(" {2,}")


class Severity(StrEnum):
    ERROR = "error"  # the configuration does not load
    WARNING = "warning"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A problem of a template that its author should know.

    Attributes:
        path: keys from the file's root, `("en", "booked", "video")`; the longest existing prefix has a line in the file.
        code: stable, lower case: see `notifier.lint`.
        message: one sentence.
    """

    path: Path
    severity: Severity
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Piece:
    """One run of a text.

    Attributes:
        value: the literal words, folded, or the placeholder's name.
        part: index of its optional part; None: it is always shown.
    """

    value: str
    is_field: bool
    part: int | None


@dataclass(frozen=True, slots=True)
class Template:
    """One parsed text.

    Attributes:
        fields: those of `pieces` that are placeholders.
        droppable: the optional parts that may be left out if the text is too long, in this order.
    """

    path: Path
    pieces: tuple[Piece, ...]
    fields: tuple[Piece, ...]
    droppable: tuple[int, ...]

    @property
    def literal(self) -> str:
        """Only the author's own words, with one space for every placeholder."""
        return "".join(" " if piece.is_field else piece.value for piece in self.pieces)

    def fill(self, words: Mapping[str, str | None], dropped: Collection[int] = ()) -> str:
        """The text with `words` in place of its placeholders, folded. Parts that lack a value, and `dropped` parts, are left out.

        A full stop after a value that ends in one is not doubled (`2:05 p.m.`). It never raises KeyError: a missing word is empty.
        """
        without = set(dropped)
        for piece in self.fields:
            if piece.part is not None and not words.get(piece.value):
                without.add(piece.part)
        text = ""
        for piece in self.pieces:
            if piece.part in without:
                continue
            if piece.is_field:
                text += words.get(piece.value) or ""
            else:
                text += piece.value[1:] if text.endswith(".") and piece.value.startswith(".") else piece.value
        text = fold(text)
        return (_SPACES.sub(" ", text) if "  " in text else text).strip()


class TemplateError(ValueError):
    """A text that cannot be parsed. `code` is that of the finding; the sentence names no value."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateSet:
    """All texts of one environment. Built by `build`, which never raises: problems are in `findings`.

    Attributes:
        texts: (language, kind, visit mode or `default`) -> template; only those that could be parsed.
        opt_out: language -> opt-out words.
        findings: problems of the structure; `notifier.lint.check` adds the rest.
    """

    texts: Mapping[tuple[str, str, str], Template]
    opt_out: Mapping[str, str]
    findings: tuple[Finding, ...] = field(default=())

    @classmethod
    def build(cls, *layers: Mapping[str, object]) -> TemplateSet:
        texts: dict[tuple[str, str, str], Template] = {}
        opt_out: dict[str, str] = {}
        findings: list[Finding] = []
        for layer in layers:
            for path, leaf in _leaves(layer, findings):
                if path[1] == OPT_OUT:
                    opt_out[path[0]] = fold(leaf).strip()
                    continue
                try:
                    texts[path[0], path[1], path[2]] = take_apart(path, leaf)
                except TemplateError as error:
                    findings.append(_error(path, error.code, str(error)))
        return cls(texts=texts, opt_out=opt_out, findings=tuple(findings))

    @property
    def languages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.opt_out, *(language for language, _, _ in self.texts)]))

    def find(self, kind: str, visit_mode: str | None, languages: Sequence[str]) -> tuple[str, Template, str] | None:
        """The first language of the list that has a text for this kind, the text, and the opt-out words; None: no text."""
        for language in languages:
            for mode in (visit_mode, DEFAULT_MODE):
                template = self.texts.get((language, kind, mode or DEFAULT_MODE))
                if template is not None:
                    words = (self.opt_out[tag] for tag in fallbacks(language) if tag in self.opt_out)
                    return language, template, next(words, "")
        return None


def _error(path: Path, code: str, message: str) -> Finding:
    return Finding(path=path, severity=Severity.ERROR, code=code, message=message)


def _leaves(layer: Mapping[str, object], findings: list[Finding]) -> Iterator[tuple[Path, str]]:
    """Texts with their paths: (language, kind, mode) or (language, `opt_out`). A misplaced key becomes a finding."""
    for language, section in layer.items():
        # YAML allows keys that are not strings
        if not isinstance(language, str) or fallbacks(language)[:1] != (language,):
            findings.append(_error((str(language),), "language", "is not a language tag such as en or es-MX"))
        elif not isinstance(section, Mapping):
            findings.append(_error((language,), "shape", "holds opt_out and the kinds of text"))
        else:
            yield from _of_language(language, section, findings)


def _of_language(language: str, section: Mapping[str, object], findings: list[Finding]) -> Iterator[tuple[Path, str]]:
    for key, value in section.items():
        if key == OPT_OUT:
            if isinstance(value, str):
                yield (language, key), value
            else:
                findings.append(_error((language, key), "shape", "is a text"))
        elif key not in (*KINDS, ANSWER):
            findings.append(
                _error((language, str(key)), "unknown_kind", f"is not one of {', '.join((OPT_OUT, *KINDS, ANSWER))}")
            )
        elif not isinstance(value, Mapping):
            findings.append(_error((language, key), "shape", f"holds texts for {', '.join(_modes(key))}"))
        else:
            for mode, text in value.items():
                if mode not in _modes(key):
                    message = f"is not one of {', '.join(_modes(key))}"
                    findings.append(_error((language, key, str(mode)), "unknown_visit_mode", message))
                elif not isinstance(text, str):
                    findings.append(_error((language, key, mode), "shape", "is a text"))
                else:
                    yield (language, key, mode), text


def _modes(kind: str) -> tuple[str, ...]:
    """The keys below a kind."""
    return ANSWERS if kind == ANSWER else (DEFAULT_MODE, *VISIT_MODES)


def take_apart(path: Path, text: str) -> Template:
    """Parse a text. TemplateError: braces, brackets, conversion, unknown_placeholder."""
    pieces: list[Piece] = []
    parts = 0
    part: int | None = None
    allowed = PLACEHOLDERS | LIST_PLACEHOLDERS if path[1:] == (ANSWER, WHICH_VISIT) else PLACEHOLDERS
    try:
        parsed = list(Formatter().parse(text))
    except ValueError:
        raise TemplateError("braces", "has a brace without its partner; write {{ or }} for a literal one") from None
    for literal, name, spec, conversion in parsed:
        words = ""
        for mark in _brackets(fold(literal)):
            if mark not in ("[", "]"):
                words += mark[0] if mark in ("[[", "]]") else mark
                continue
            if (mark == "[") is (part is not None):
                raise TemplateError("brackets", "has an optional part [...] that is nested or not closed")
            pieces.append(Piece(words, False, part))
            words, part, parts = "", parts if mark == "[" else None, parts + (mark == "[")
        pieces.append(Piece(words, False, part))
        if name is None:
            continue
        if spec or conversion:
            raise TemplateError("conversion", "has a placeholder with `:` or `!`; write the name alone")
        if name not in allowed:
            raise TemplateError(
                "unknown_placeholder", f"has a placeholder that is not one of {', '.join(sorted(allowed))}"
            )
        pieces.append(Piece(name, True, part))
    if part is not None:
        raise TemplateError("brackets", "has an optional part [...] that is nested or not closed")
    kept = tuple(piece for piece in pieces if piece.value)
    return Template(path, kept, tuple(piece for piece in kept if piece.is_field), _droppable(kept, parts))


def _brackets(literal: str) -> Iterator[str]:
    """Runs of words and the marks `[` `]` `[[` `]]`."""
    index = 0
    while index < len(literal):
        char = literal[index]
        if char in "[]":
            size = 2 if literal[index : index + 2] == char * 2 else 1
        else:
            stops = [at for at in (literal.find("[", index), literal.find("]", index)) if at >= 0]
            size = min(stops, default=len(literal)) - index
        yield literal[index : index + size]
        index += size


def _droppable(pieces: Sequence[Piece], parts: int) -> tuple[int, ...]:
    """Optional parts that hold only details: the last one is left out first, then the one that asks, the join link last.

    A part with the time is never left out: a text without the time is worse than no text.
    """
    fields: list[set[str]] = [set() for _ in range(parts)]
    for piece in pieces:
        if piece.is_field and piece.part is not None:
            fields[piece.part].add(piece.value)
    free = [part for part in reversed(range(parts)) if fields[part] and fields[part] <= {*DETAILS, REPLY}]
    return tuple(sorted(free, key=lambda part: ("join_link" in fields[part], REPLY in fields[part])))


def placeholders_used(template_set: TemplateSet) -> dict[str, frozenset[str]]:
    """For each kind, the details that its texts show in any language or visit mode: a change of one of these causes an update."""
    used: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for (_, kind, _), template in template_set.texts.items():
        if kind == ANSWER:
            continue  # it shows what is, and a change is told by another text
        used[kind].update(piece.value for piece in template.fields if piece.value in DETAILS)
    return {kind: frozenset(names) for kind, names in used.items()}
