"""Propose a configuration: carebell.yaml with edits by key, or another text, judged as a reload would judge it.

Nothing is written here (`carebell.configuring.saving`) and nothing is foreseen (`carebell.configuring.effect`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from carebell.bootstrap import preflight
from carebell.inbound.trust import ConfigurationFinding
from config.document import MOST_BYTES, parse_value
from config.edit import REMOVED, Edit, edited
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError, Keys, Problem
from config.regular_file import read_regular


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A new text of the file that makes a configuration.

    Attributes:
        path: of carebell.yaml.
        base: what the file held when the proposal was made. content: what it would hold.
        present: the configuration that `base` makes; None: it is broken.
        trial: the configuration that `content` makes.
    """

    path: Path
    base: bytes = field(repr=False)
    content: bytes = field(repr=False)
    present: Loaded | None = field(repr=False)
    trial: Loaded = field(repr=False)

    @property
    def changes_nothing(self) -> bool:
        """Whether the file says so already, byte for byte."""
        return self.content == self.base


class ProposalRefused(Exception):
    """The new text makes no configuration that could be used. Its message is one problem a line.

    Attributes:
        problems: each with its key, its place in a file and a phrase that follows the key; in the order of the file.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def read_file(path: Path) -> bytes:
    """What carebell.yaml holds: the base of a proposal. OSError if it cannot be read."""
    return read_regular(path, MOST_BYTES + 1)


def propose_text(path: Path, base: bytes, content: bytes, environ: Mapping[str, str] = os.environ) -> Proposal:
    """The proposal of a whole text.

    Raises:
        ProposalRefused: it has problems of its own. Those of the files that it names: `require_sound`.
    """
    try:
        trial = load_configuration(path, environ, content=content)
    except ConfigurationError as error:
        raise ProposalRefused(error.problems) from None
    try:
        present = load_configuration(path, environ, content=base)
    except ConfigurationError:
        present = None
    return Proposal(path=path, base=base, content=content, present=present, trial=trial)


def propose_edits(path: Path, base: bytes, edits: Iterable[Edit], environ: Mapping[str, str] = os.environ) -> Proposal:
    """The proposal of edits by key; every other byte stays.

    Raises:
        EditRefused: the file cannot be edited so by its keys.
        ProposalRefused: the file is no YAML, or as `propose_text`.
    """
    try:
        content = edited(base, edits, str(path))
    except ConfigurationError as error:
        raise ProposalRefused(error.problems) from None
    return propose_text(path, base, content, environ)


def propose_written(
    path: Path, base: bytes, keys: Keys, written: str | None, environ: Mapping[str, str] = os.environ
) -> Proposal:
    """The proposal of one key, whose value a person wrote as YAML; None: the key is removed. Raises as `propose_edits`.

    A value that would be another type than the key wants, as a telephone number is a whole number in YAML, is taken as text.
    """
    values: list[Any] = [REMOVED]
    if written is not None:
        try:
            values = [parse_value(written)]
        except ConfigurationError:
            values = []
        values += [written] if written not in values else []
    first: ProposalRefused | None = None
    for value in values:
        try:
            return propose_edits(path, base, [Edit(keys, value)], environ)
        except ProposalRefused as refused:
            first = first or refused
    assert first is not None, "there is a value to try"
    raise first


def require_sound(trial: Loaded, at: datetime) -> list[ConfigurationFinding]:
    """The warnings about the files, certificates and texts of a configuration. ProposalRefused if it could not start."""
    findings = preflight.findings(trial, at)
    errors = [finding.problem for finding in findings if not finding.is_warning]
    if errors:
        raise ProposalRefused(errors)
    return findings
