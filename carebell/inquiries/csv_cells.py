"""CSV cells for spreadsheets: a text that a spreadsheet would run as a formula is disarmed (OWASP, "CSV Injection")."""

from __future__ import annotations

from typing import Final

Cell = str | int | None

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Characters that make a spreadsheet run a cell. The last four are full-width forms."""


def safe(cell: Cell) -> Cell:
    """The cell. A text that a spreadsheet would run as a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
