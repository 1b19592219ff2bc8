"""Print results: JSON lines for programs; for people a table, or one block for each row if the terminal is narrow."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from datetime import datetime
from typing import Any, TextIO

from carebell.times import iso
from journal.lines import plain

_GAP = "  "


def print_json(row: Mapping[str, Any], stream: TextIO | None = None) -> None:
    """Print one object on one line, with instants as ISO 8601 in UTC. Letters of any language stay; control characters are escaped.

    Args:
        stream: None: standard output.
    """
    line = json.dumps(row, default=_plain, ensure_ascii=False)
    print(line if line.isprintable() else json.dumps(row, default=_plain), file=stream, flush=True)


@contextmanager
def rows_alone(as_json: bool) -> Iterator[TextIO]:
    """The stream for rows. With `as_json` everything else that is printed (the console gateway's texts) goes to standard error."""
    stdout = sys.stdout
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        yield stdout


def print_result(row: Mapping[str, Any], sentence: str, *, as_json: bool) -> None:
    """Print what a command did: a row for programs, or a sentence for people."""
    if as_json:
        print_json(row)
    else:
        print_sentence(sentence)


def print_sentence(sentence: str, *, lead: str = "") -> None:
    """On a terminal broken between words, so that nothing that is copied is torn.

    Args:
        lead: stands before it; further lines are indented by as much.
    """
    columns = terminal_columns()
    if columns is None:
        print(f"{lead}{sentence}")
    else:
        _print_words(lead, sentence, columns)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return iso(value) or ""
    return str(value)


def terminal_columns() -> int | None:
    """The width of the terminal; None: the output is a pipe, a file or closed, where a line may have any length."""
    on_terminal = sys.stdout is not None and sys.stdout.isatty()
    return shutil.get_terminal_size().columns if on_terminal else None


def print_table(headings: Sequence[str], rows: Sequence[Sequence[object]], *, empty: str, first: str = "") -> None:
    """Print a table that never breaks a cell, so that an id can be copied whole. Without rows, print the sentence `empty`.

    If the terminal is narrower than the table, columns with the same value in all rows are printed once, above the table. If the
    table is still too wide, each row is a block: first one cell, then all others with their headings.

    Args:
        first: the heading of the cell that a block begins with; by default the first heading.
    """
    if not rows:
        print(empty)
        return
    columns = [
        (heading, ["" if cell is None else plain(str(cell)) for cell in column])
        for heading, column in zip(headings, zip(*rows, strict=True), strict=True)
    ]
    terminal = terminal_columns()
    if terminal is not None and _table_width(columns) > terminal and len(rows) > 1:
        shared = [column for column in columns if len(set(column[1])) == 1 and column[0] != first]
        columns = [column for column in columns if column not in shared]
        _print_words("All: ", _named((heading, cells[0]) for heading, cells in shared), terminal)
    if terminal is None or _table_width(columns) <= terminal:
        _print_rows(columns)
    else:
        _print_blocks(columns, first or headings[0], terminal)


_Column = tuple[str, list[str]]
"""A heading and the cells below it."""


def _print_rows(columns: Sequence[_Column]) -> None:
    widths = [_column_width(column) for column in columns]
    heads, cells = [heading for heading, _ in columns], [cells for _, cells in columns]
    for row in (heads, ["─" * width for width in widths], *zip(*cells, strict=True)):
        print(_GAP.join(text + " " * (width - _width(text)) for text, width in zip(row, widths, strict=True)).rstrip())


def _print_blocks(columns: Sequence[_Column], first: str, terminal: int) -> None:
    lead = next((column for column in columns if column[0] == first), columns[0])
    further_columns = [column for column in columns if column is not lead]
    for index, title in enumerate(lead[1]):
        if title:
            print(title)
        _print_words("    ", _named((heading, cells[index]) for heading, cells in further_columns), terminal)


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    return "; ".join(f"{heading.lower()} {cell}" for heading, cell in pairs if cell not in ("", "-"))


def _print_words(lead: str, text: str, terminal: int) -> None:
    """Print words; break lines only between words."""
    if text:
        broken = textwrap.wrap(text, max(terminal - len(lead), 1), break_long_words=False, break_on_hyphens=False)
        print("\n".join(f"{lead if number == 0 else ' ' * len(lead)}{line}" for number, line in enumerate(broken)))


def _table_width(columns: Sequence[_Column]) -> int:
    return sum(_column_width(column) for column in columns) + len(_GAP) * (len(columns) - 1)


def _column_width(column: _Column) -> int:
    return max(_width(text) for text in (column[0], *column[1]))


def _width(text: str) -> int:
    """Terminal columns: wide characters (CJK) take two."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def no_rows(appointment: str | None, sentence: str) -> str:
    """The sentence for an empty table. For one appointment it also says what to look at next."""
    if appointment is None:
        return sentence
    name = plain(appointment)
    return f"{sentence} for {name}; did a message about it arrive? carebell logs --appointment {name}"
