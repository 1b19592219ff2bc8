"""The side bar of the site: every page of docs/, by need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).parents[1]


def _pages(folder: str) -> list[str]:
    return sorted(f"{folder}/{path.stem}" for path in (_DOCS / folder).glob("*.md") if path.stem != "README")


SECTIONS: Final[Mapping[str, list[str]]] = {
    "Begin": ["tutorial/first-message"],
    "For you": [f"for/{reader}" for reader in ("analyst", "administrator", "support", "auditor", "installer")],
    "How to": _pages("how-to"),
    "Look up": _pages("reference"),
    "Understand": [*_pages("explanation"), "decisions/README"],
    "Decisions": _pages("decisions"),
}
"""Heading -> pages below docs/, without their ending."""
