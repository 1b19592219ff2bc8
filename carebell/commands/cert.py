"""`cert show` says whether an upload would be accepted; `sign` signs a message."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from carebell.commands.files import one_message
from carebell.commands.output import print_json, print_sentence
from carebell.exits import OK, REFUSED, Stop, UsageStop
from carebell.times import iso
from journal.lines import plain


def show(files: Sequence[Path], *, at: datetime | None, as_json: bool) -> int:
    """Print each file's verdict; 1 if any is refused."""
    from certs.cer import read_upload

    at = at or datetime.now(UTC)
    refused = False
    for file in files:
        report = read_upload(file, at)
        refused = refused or report.verdict == "refuse"
        row: dict[str, Any] = {
            "file": str(file),
            "verdict": report.verdict,
            "reason": report.reason,
            "notices": list(report.notices),
            "subject": report.subject,
            "not_before": iso(report.not_before),
            "not_after": iso(report.not_after),
            "thumbprint": report.thumbprint,
            "algorithms": list(report.algorithms),
            "header": report.header,
        }
        if as_json:
            print_json(row)
        else:
            _print_report(row)
    return REFUSED if refused else OK


def _print_report(row: dict[str, Any]) -> None:
    print(f"{plain(row['file'])}: {row['verdict']}")
    if row["reason"]:
        print_sentence(row["reason"], lead="  why         ")
    for notice in row["notices"]:
        print_sentence(notice, lead="  note        ")
    if row["subject"] is None:
        return
    print_sentence(row["subject"], lead="  subject     ")
    print_sentence(f"{row['not_before']} to {row['not_after']}", lead="  valid       ")
    print(f"  thumbprint  {row['thumbprint']}")
    print_sentence(", ".join(row["algorithms"]), lead="  algorithms  ")
    if row["header"]:
        print(f"  header      {row['header']}")


def sign(file: Path, *, key: Path, cert: Path, alg: str | None, output: Path | None, as_json: bool) -> None:
    """Append ZSG to one message. The result is bare, never framed.

    With `as_json` and without an output only the row is printed; its `zsg` is the appended segment.
    """
    from carebell.commands.signer import signer
    from certs.sign import SigningError

    if output is not None and output.resolve() == file.resolve():
        raise UsageStop("the output would overwrite the message; name another file")
    content = one_message(file)
    append_signature = signer(key, cert, alg=alg)
    try:
        signed = append_signature(content)
    except SigningError as error:
        raise Stop(f"{file}: {error}") from None
    if output is not None:
        output.write_bytes(signed)
    elif not as_json:
        sys.stdout.buffer.write(signed)
        sys.stdout.buffer.flush()
    if as_json:
        zsg = signed.rstrip(b"\r\n").rpartition(b"\r")[2].rpartition(b"\n")[2].decode("ascii")
        print_json({"file": str(file), "output": None if output is None else str(output), "zsg": zsg})
