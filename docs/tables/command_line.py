"""The page about the command line, from its own help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import typer
from typer.testing import CliRunner

from carebell import exits
from carebell.cli import app
from docs.tables.examples import EXAMPLES
from docs.tables.markdown import code, table

WIDTH: Final = 110

EXITS: Final[tuple[tuple[int, str], ...]] = (
    (exits.OK, "good"),
    (exits.REFUSED, "what the command was asked about was refused, or failed"),
    (exits.USAGE, "the arguments are wrong"),
    (exits.TRANSIENT, "a temporary fault: the same call may succeed later"),
    (exits.PERMISSION, "the process may not use a file or port"),
    (
        exits.CONFIGURATION,
        "`carebell.yaml`, or a file that it names, is wrong; every problem is printed with line and column",
    ),
    (exits.INTERRUPTED, "Ctrl-C; a sentence says what was done until then"),
    (exits.CLOSED_PIPE, "the reader of the output has closed the pipe, as `| head -1` does"),
)


JSON_ROWS: Final[tuple[tuple[str, str], ...]] = (
    ("init", '`{"file", "secret"}` for each file'),
    ("demo", '`{"time", "what", ...}` for each step; the last has `what` `end` and `good`'),
    (
        "serve",
        '`{"listening": [{"environments", "host", "port"}], "workers", "health", "portal", "rehearsal"}`, once it listens',
    ),
    (
        "cert show",
        '`{"file", "verdict", "reason", "notices", "subject", "not_before", "not_after", "thumbprint", "algorithms", "header"}`',
    ),
    ("sign", '`{"file", "output", "zsg"}`; without `--output` the row takes the place of the signed message'),
    ("verify", '`{"file", "answer", "code", "err3", "text"}`; `message` too where a file holds several'),
    ("send", '`{"file", "control_id", "answer", "text", "milliseconds", "ack"}`; `message` as above'),
    ("explain", '`{"file", "name", "value", "field", "candidates"}`, perhaps `zone` and `note`; `message` as above'),
    (
        "plan",
        '`{"appointment", "kind", "rule", "due", "expires", "status", "reason", "text", "segments", "to", "revision", '
        '"shares_id_with"}`; the last names the visits that share an id with a rescheduled one and stay',
    ),
    (
        "rehearse",
        '`{"date", "environment", "appointment", "kind", "rule", "due", "left", "status", "reason", "cap", "to", "text", '
        '"segments"}` for each text; `{"environment", "from", "days", "sent", "segments", "suppressed", "late", '
        '"latest_seconds", "later", "caps"}` for each environment; then `{"messages", "rejected", "unreadable", "html"}`',
    ),
    (
        "config preview",
        '`{"environment", "kind", "date", "planned", "withdrawn", "moved"}`, or with `--appointments` `{"environment", '
        '"appointment", "kind", "rule", "change", "before", "after", "reason"}`; then `{"restart": [], "approval": [], '
        '"switched_off": {}, "at_once", "certificates": []}`, with `{"environment", "change", "subject", "thumbprint", '
        '"not_after", "last_used"}` for each certificate that is `added` or `removed`',
    ),
    (
        "trace",
        '`{"time", "what", "environment", "appointment", "kind", "rule", "state", "reason", "code", "detail"}`, oldest first; the '
        "last row of an appointment has `what` `answer` and the sentence in `detail`",
    ),
    ("logs", '`{"time", "level", "event"}` and the fields of the event'),
    ("hold, release", '`{"environment", "held", "changed"}`; `environment` null: everything'),
    ("purge", '`{"appointments", "messages", "day_keys", "suppressed", "files_settled"}`'),
    (
        "purge --verify",
        'then `{"file", "offset", "spelling"}` for each trace, `{"environment", "appointment", "status", "until", "settles", '
        '"waiting"}` for each visit that keeps it, and `{"files", "traces", "visits", "unreadable", "hashed_texts", '
        '"hashed_until", "opted_out", "patient_ids", "patient_ids_until"}`',
    ),
    ("visit list", '`{"appointment", "environment", "start", "state", "opens", "ends", "started", "ended"}`'),
    (
        "visit show",
        'the same, with `"links": [{"mark", "for", "made", "ends", "revoked", "admitted"}]` and `"events": [{"time", "what", '
        '"who", "source"}]`',
    ),
    ("visit link", '`{"appointment", "for", "link", "ends"}`'),
    ("visit revoke", '`{"appointment", "mark", "revoked"}`'),
    ("optout add, remove", '`{"phone", "sender", "opted_out"}` for each sender; `changed` for `remove`'),
    (
        "reply list",
        '`{"id", "environment", "appointment", "reply", "reason", "since", "count", "start", "moved"}`, the longest wait first',
    ),
    ("reply done", '`{"id", "changed"}`'),
    (
        "writeback list, show ID",
        '`{"id", "environment", "appointment", "event", "channel", "state", "why", "attempts", "answer", "code", "err3", '
        '"created", "sent", "next", "expires", "final"}`',
    ),
    ("writeback show EVENT", '`{"environment", "event", "segments": []}`'),
    (
        "simulator ehr --inbound",
        '`{"listening"}`, then `{"control_id", "type", "appointment", "answer", "taken"}` for each message, '
        '`{"control_id", "type", "answers", "with", "answered"}` for each later answer',
    ),
    ("writeback retry", '`{"id", "was", "changed"}`'),
    ("keys rotate", '`{"key", "moved", "unreadable", "copy_key_file"}`'),
    ("keys drop-unreadable", '`{"day_keys", "appointments", "people", "done"}`'),
    ("db upgrade", '`{"version", "was", "changed"}`'),
    (
        "config set",
        '`{"environment", "kind", "date", "planned", "withdrawn", "moved"}` and `{"restart", "approval", "switched_off", '
        '"at_once", "certificates"}` as `config preview`, then `{"key", "before", "after", "version", "written"}`; where somebody '
        'else changed the file, `{"side", "line", "text", "left_out"}` for each line of base, yours and theirs that differs',
    ),
    (
        "config restore",
        "the same, with the last row for each key that differs",
    ),
    (
        "config history",
        '`{"version", "time", "who", "from", "source", "base", "comment", "changes": [{"key", "before", "after"}]}`',
    ),
    ("config show", "the same without `changes`, with `text` and `values`"),
    (
        "audit",
        '`{"seq", "time", "who", "from", "what", "environment", "subject", "before", "after", "hash"}`; `audit export` adds '
        "`previous` and `hashed` (docs/reference/audit.md)",
    ),
    (
        "audit verify",
        '`{"intact", "entries", "first", "broken_at", "why", "head", "compared", "before_restore"}`; `why` is altered, missing, '
        "end_missing, start_missing or rewritten",
    ),
    (
        "portal user list, disable, enable; portal unlock",
        '`{"login", "name", "role", "environments", "last_sign_in", "second_factor", "provider", "disabled", "locked", '
        '"invited_until"}`',
    ),
    (
        "portal user add, invite",
        "the same, with `link` and `until`; whoever has the link can become this user until then",
    ),
    ("numbers buy, link", '`{"action", "number", "target", "done"}` for each step; nobody is asked, `--yes` decides'),
)
"""Rows that a reader cannot guess from the command's name; the keys are a contract."""


def cli() -> str:
    sections = "".join(
        f"## {code(name)}\n\n```text\n{_help(path)}```\n\n{_examples(path)}" for name, path in _commands()
    )
    return f"""# Command line

Without `-c`, the configuration is `$CAREBELL_CONFIG`, then `./carebell.yaml`, then `/etc/carebell/carebell.yaml`. `--json` prints
one object a line with stable keys; telephone numbers are masked everywhere.

`man carebell` shows all of this where `carebell install` put it. What takes over a second shows on a terminal how far it is: on
standard error, and never in what `--json` prints.

## Completion

`carebell --install-completion` makes your shell (bash, zsh or fish) complete commands, options and the configuration's
environments; `--show-completion` prints the script. For all accounts of a machine, as root:

    _CAREBELL_COMPLETE=source_bash carebell > /etc/bash_completion.d/carebell
    _CAREBELL_COMPLETE=source_zsh carebell > /usr/share/zsh/vendor-completions/_carebell
    _CAREBELL_COMPLETE=source_fish carebell > /usr/share/fish/vendor_completions.d/carebell.fish

## Exit codes

{table(["code", "meaning"], [(str(number), meaning) for number, meaning in EXITS])}
## What `--json` prints

Only rows go to standard output; warnings, and the reason why a command ends, go to standard error.

{table(["command", "rows"], [(code(name), rows) for name, rows in JSON_ROWS])}
{sections.rstrip()}
"""


def _examples(path: list[str]) -> str:
    calls = "".join(f"    {call}\n" for call in EXAMPLES.get(" ".join(path), ()))
    return f"For example:\n\n{calls}\n" if calls else ""


def _commands() -> Iterator[tuple[str, list[str]]]:
    """Each command's full name and the words after `carebell`, groups before their members."""
    yield "carebell", []
    yield from _below(typer.main.get_command(app), [])


def _below(group: Any, path: list[str]) -> Iterator[tuple[str, list[str]]]:
    for name, command in group.commands.items():
        words = [*path, name]
        yield " ".join(["carebell", *words]), words
        if hasattr(command, "commands"):
            yield from _below(command, words)


def _help(path: list[str]) -> str:
    result = CliRunner().invoke(app, [*path, "--help"], terminal_width=WIDTH, prog_name="carebell")
    if result.exit_code != 0:
        raise RuntimeError(f"carebell {' '.join(path)} --help failed: {result.output}")
    return "\n".join(line.rstrip() for line in result.output.strip().splitlines()) + "\n"
