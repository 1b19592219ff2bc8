"""How results are printed: JSON lines for programs, tables for people."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def print_json(row: Mapping[str, Any]) -> None:
    """One object on one line; instants as ISO 8601 in UTC."""
    print(json.dumps(row, default=_plain, ensure_ascii=False), flush=True)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) or ""
    return str(value)


def iso(instant: datetime | None) -> str | None:
    """`2026-03-02T15:04:00Z`; None stays None."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str) -> None:
    """A table that fits the terminal: the last column wraps; without rows, the sentence `empty`."""
    if not rows:
        print(empty)
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    width = None if sys.stdout.isatty() else max(shutil.get_terminal_size().columns, 160)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console(width=width, highlight=False).print(table)
