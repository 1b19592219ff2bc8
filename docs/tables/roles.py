"""The page about the portal's roles."""

from __future__ import annotations

from docs.tables.markdown import code, table
from portal.roles import ALLOWED, OWN_ENVIRONMENTS_ONLY, Role


def portal_roles() -> str:
    rows = [
        (permission.value, *("yes" if role in roles else "-" for role in Role)) for permission, roles in ALLOWED.items()
    ]
    only_own = " and ".join(code(role.value) for role in Role if role in OWN_ENVIRONMENTS_ONLY)
    return f"""# Roles of the portal

Who may do what on the staff's pages. A person has one role; {only_own} sees and changes only the environments that were given
with it. Whoever asks for more gets a page that says which role is missing and who has it, and the audit log has an entry
`page.denied`. [People of the portal](../how-to/portal-people.md) says how roles are given.

{table(["may", *(role.value for role in Role)], rows)}
"""
