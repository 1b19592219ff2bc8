"""Everything about people that the portal's pages ask for: `portal.people.People` over the store.

All of it blocks, some of it for as long as a password's hash takes, and every act is one entry of the audit log in the
transaction of what it did.
"""

from __future__ import annotations

from carebell.staff.administration import PeopleAdministration
from carebell.staff.own_account import OwnAccount
from carebell.staff.people_context import PeopleContext
from carebell.staff.setting_up import SettingUp
from carebell.staff.signing_in import SigningIn
from portal.people import People


class StaffPeople(SigningIn, SettingUp, PeopleAdministration, OwnAccount):
    """One object for all pages about people."""

    def __init__(self, context: PeopleContext) -> None:
        PeopleAdministration.__init__(self, context)


def people_of(context: PeopleContext) -> People:
    """As the pages know it."""
    return StaffPeople(context)
