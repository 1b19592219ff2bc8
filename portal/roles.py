"""Who may do what in the portal: roles and permissions, as data. The gate asks here, and the documentation is made from it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Role(Enum):
    """What a person is in the portal. `value` is how it is stored and written in the configuration."""

    ADMINISTRATOR = "administrator"
    ANALYST = "analyst"
    SUPPORT = "support"
    AUDITOR = "auditor"


class Permission(Enum):
    """What a page lets somebody do; `value` completes the sentence "This needs somebody who may ..."."""

    SEE = "see status, reports and reasons"
    SEARCH_NUMBER = "search by telephone number"
    SEE_CONFIGURATION = "see the configuration"
    CHANGE_CONFIGURATION = "change the configuration"
    CHANGE_FEED = "change an environment's feed and certificates"
    MANAGE_NUMBERS = "buy or link telephone numbers"
    APPROVE = "approve a configuration"
    HOLD = "hold texts"
    RELEASE = "release held texts"
    SEND_AGAIN = "send something back to the EHR again"
    FOLLOW_UP = "note that a patient's reply was followed up"
    OPT_OUT_ADD = "add an opt-out"
    OPT_OUT_REMOVE = "remove an opt-out"
    ADMIT = "let patients into their visits"
    MANAGE_PEOPLE = "manage people and roles"
    SEE_AUDIT = "read the audit log"


_EVERYBODY: Final = frozenset(Role)
_ADMINISTRATOR: Final = frozenset({Role.ADMINISTRATOR})

ALLOWED: Final[Mapping[Permission, frozenset[Role]]] = {
    Permission.SEE: _EVERYBODY,
    Permission.SEARCH_NUMBER: frozenset({Role.ADMINISTRATOR, Role.SUPPORT}),
    Permission.SEE_CONFIGURATION: _EVERYBODY,
    Permission.CHANGE_CONFIGURATION: _ADMINISTRATOR,
    Permission.CHANGE_FEED: frozenset({Role.ADMINISTRATOR, Role.ANALYST}),
    Permission.MANAGE_NUMBERS: _ADMINISTRATOR,
    # Whether this person is the approver that the environment names, the page asks.
    Permission.APPROVE: frozenset({Role.ADMINISTRATOR, Role.ANALYST}),
    Permission.HOLD: frozenset({Role.ADMINISTRATOR, Role.SUPPORT}),
    Permission.RELEASE: _ADMINISTRATOR,
    Permission.SEND_AGAIN: _ADMINISTRATOR,
    Permission.FOLLOW_UP: frozenset({Role.ADMINISTRATOR, Role.SUPPORT}),
    Permission.OPT_OUT_ADD: frozenset({Role.ADMINISTRATOR, Role.SUPPORT}),
    Permission.OPT_OUT_REMOVE: _ADMINISTRATOR,
    Permission.ADMIT: frozenset({Role.ADMINISTRATOR, Role.SUPPORT}),
    Permission.MANAGE_PEOPLE: _ADMINISTRATOR,
    Permission.SEE_AUDIT: frozenset({Role.ADMINISTRATOR, Role.AUDITOR}),
}

OWN_ENVIRONMENTS_ONLY: Final = frozenset({Role.ANALYST})
"""These see and change only the environments that name them as approver, or that they were given."""


def may(role: Role, permission: Permission) -> bool:
    """Whether the role has the permission in some environment."""
    return role in ALLOWED[permission]


def roles_with(permission: Permission) -> tuple[Role, ...]:
    """In the order of `Role`."""
    return tuple(role for role in Role if may(role, permission))
