"""The portal's pages as data: address, method, permission, handler. The application, the tests and the docs use it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from portal.page_request import Answer, PageRequest
from portal.roles import Permission

Handler = Callable[[PageRequest], Answer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One address and method.

    Attributes:
        name: what the page is called in the docs and in the navigation.
        path: Starlette's form; `{environment}` is checked against what the person may see.
        permission: None with `signed_in`: everybody who is signed in; None without: everybody at all.
        confirm: the password or code must have been given within the last minutes.
        passive: the browser asks for it by itself (a page that polls); it does not keep the session alive.
        menu: whether it stands in the navigation, in the order of the table.
        largest_body: bytes that may be posted: one certificate, or a form.
        too_large: what is said of more than that, where a file is taken; the answer leads back to the page at this address.
        handler: blocking, called in a worker thread.
    """

    name: str
    path: str
    handler: Handler
    method: Literal["GET", "POST"] = "GET"
    permission: Permission | None = None
    signed_in: bool = True
    confirm: bool = False
    passive: bool = False
    menu: bool = False
    largest_body: int = 131_072
    too_large: str | None = None

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method == "POST"


def checked(pages: Sequence[Page]) -> tuple[Page, ...]:
    """The table, after looking for what would be a mistake in it.

    Raises:
        ValueError: an address stands twice, a public page has a permission, a menu's page is not read by GET, and so on.
    """
    seen: set[tuple[str, str]] = set()
    for page in pages:
        if (page.method, page.path) in seen:
            raise ValueError(f"{page.method} {page.path} stands twice in the route table")
        seen.add((page.method, page.path))
        if not page.signed_in and (page.permission is not None or page.confirm):
            raise ValueError(f"{page.method} {page.path} is for everybody and yet needs somebody")
        if page.menu and (page.changes or "{" in page.path):
            raise ValueError(f"{page.path} cannot stand in the navigation")
        if page.confirm and not page.changes:
            raise ValueError(f"{page.path} only reads, and asks for the password nevertheless")
        if page.too_large is not None and ("GET", page.path) not in {(other.method, other.path) for other in pages}:
            raise ValueError(f"{page.path} leads back to itself, and is not read by GET")
        if page.passive and page.changes:
            raise ValueError(f"{page.path} changes something and yet does not count as activity")
    return tuple(pages)
