"""Mistakes in the route table end the start, not a request."""

from __future__ import annotations

import pytest

from portal.page_request import Answer, PageRequest, Redirect
from portal.roles import ALLOWED, Permission, Role, may, roles_with
from portal.route_table import Page, checked


def handler(request: PageRequest) -> Answer:
    return Redirect(path="/")


@pytest.mark.parametrize(
    "pages",
    [
        (Page(name="A", path="/a", handler=handler), Page(name="B", path="/a", handler=handler)),
        (Page(name="A", path="/a", handler=handler, signed_in=False, permission=Permission.SEE),),
        (Page(name="A", path="/a", method="POST", handler=handler, signed_in=False, confirm=True),),
        (Page(name="A", path="/a", method="POST", handler=handler, menu=True),),
        (Page(name="A", path="/a/{id}", handler=handler, menu=True),),
        (Page(name="A", path="/a", handler=handler, confirm=True),),
        (Page(name="A", path="/a", method="POST", handler=handler, passive=True),),
    ],
    ids=[
        "twice",
        "public and permission",
        "public and confirm",
        "menu by POST",
        "menu with a parameter",
        "confirm",
        "passive",
    ],
)
def test_a_mistake_in_the_table_is_refused(pages: tuple[Page, ...]) -> None:
    with pytest.raises(ValueError, match="/a"):
        checked(pages)


def test_every_permission_has_somebody_and_an_administrator_lacks_none() -> None:
    assert set(ALLOWED) == set(Permission)
    assert [
        permission for permission in Permission if not may(Role.ADMINISTRATOR, permission) and roles_with(permission)
    ] == []


def test_an_auditor_changes_nothing() -> None:
    assert {permission for permission in Permission if may(Role.AUDITOR, permission)} == {
        Permission.SEE,
        Permission.SEE_CONFIGURATION,
        Permission.SEE_AUDIT,
    }
