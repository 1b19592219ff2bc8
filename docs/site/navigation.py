"""The side bar of the site: every page of docs/, by need."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_DOCS: Final = Path(__file__).parents[1]


def _pages(folder: str) -> list[str]:
    return sorted(f"{folder}/{path.stem}" for path in (_DOCS / folder).glob("*.md") if path.stem != "README")


_HOW_TO: Final[Mapping[str, tuple[str, ...]]] = {
    "Install and run": (
        "install",
        "container",
        "tls",
        "reverse-proxy",
        "patients-pages",
        "group-visits",
        "postgresql",
        "backups",
        "monitor",
    ),
    "Connect a sender": (
        "connect-epic",
        "connect-oracle-health",
        "sign-messages",
        "rotate-signing-key",
        "write-back",
        "write-back-fhir",
    ),
    "Decide what is sent": ("reminder-intervals", "replies", "twilio", "http-gateway"),
    "Answer questions": ("why-no-text", "read-the-logs", "audit"),
}
"""By need, in the order in which they are needed; a how-to that is in none of these stands under "More"."""


def _how_to() -> dict[str, list[str]]:
    by_need = {need: [f"how-to/{name}" for name in names] for need, names in _HOW_TO.items()}
    listed = {page for pages in by_need.values() for page in pages}
    more = [page for page in _pages("how-to") if page not in listed]
    return by_need | ({"More": more} if more else {})


SECTIONS: Final[Mapping[str, list[str]]] = {
    "Begin": ["tutorial/first-message", "tutorial/two-people"],
    "For you": [f"for/{reader}" for reader in ("analyst", "administrator", "support", "auditor", "installer")],
    **_how_to(),
    "Look up": _pages("reference"),
    "Understand": [*_pages("explanation"), "decisions/README"],
    "Decisions": _pages("decisions"),
}
"""Heading -> pages below docs/, without their ending."""
