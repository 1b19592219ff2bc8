"""`portal user` and `portal unlock`: who may use the staff's pages. What is done is what the page People does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, TypeVar

from carebell.commands.interrupt import interruptible
from carebell.commands.open_store import Opened, opened
from carebell.commands.output import print_json, print_result, print_sentence, print_table
from carebell.exits import OK, Stop, UsageStop
from carebell.staff.administration import Administration
from carebell.staff.passwords import Passwords
from carebell.staff.people_context import PeopleContext, approvers_by_environment, normal_login, role_in_words
from carebell.times import Zones, iso
from portal.people import ActRefusal, Invitation, NotDone, Person
from portal.roles import Role
from store import users
from store.audit import Author
from store.engine import Transaction

Outcome = TypeVar("Outcome")

_USAGE: Final[dict[ActRefusal, str]] = {
    "login_unusable": "a user name has 2 to 64 of a-z 0-9 . _ @ -",
    "role_unknown": f"--role: there are {', '.join(role.value for role in Role)}",
    "environment_unknown": "--environment: carebell.yaml has no such environment",
}
_REFUSALS: Final[dict[ActRefusal, str]] = {
    "last_administrator": "this is the last administrator who can sign in: add another one, who uses the set-up link, first",
    "unknown_person": "there is no such user; `carebell portal user list` shows all",
    "login_taken": "there is such a user already; `carebell portal user invite` prints a new set-up link",
    "is_disabled": "this user is switched off; run `carebell portal user enable` first",
    "other_sign_in": "passwords are the organisation's own sign-in's: portal.sign_in.local is off, or this user came from there",
}


def add(
    config: Path | None, login: str, *, name: str | None, role: str, environments: Sequence[str], as_json: bool
) -> int:
    """Add a user and print the set-up link."""

    def act(acts: Administration, conn: Transaction, session: Opened) -> Invitation | NotDone:
        wanted = tuple(dict.fromkeys(environments))
        return acts.invite(conn, session.author, login, name or "", role, wanted)

    return _link(config, login, act, "was added", as_json=as_json)


def invite(config: Path | None, login: str, *, as_json: bool) -> int:
    """Print a new set-up link for a user."""

    def act(acts: Administration, conn: Transaction, session: Opened) -> Invitation | NotDone:
        user_id = _id_of(conn, login)
        return acts.invite_again(conn, session.author, user_id)

    return _link(config, login, act, "is invited again", as_json=as_json)


def list_all(config: Path | None, *, as_json: bool) -> None:
    """Print every user."""
    with opened(config) as session, session.store.read() as conn:
        people, zones = _context(session).persons(conn, users.listed(conn)), Zones(session.loaded)
    if as_json:
        for person in people:
            print_json(_row(person))
        return
    if people:
        print_sentence(zones.sentence({None}))
    print_table(
        ["User name", "Name", "Role", "Last sign-in", "Second factor", "State"],
        [
            (
                person.login,
                person.name,
                role_in_words(person.role, person.environments),
                "-" if person.last_sign_in_at is None else zones.clock(person.last_sign_in_at),
                "yes" if person.has_second_factor else "-",
                _state(person),
            )
            for person in people
        ],
        empty="no user yet; `carebell portal user add` adds the first",
        first="User name",
    )


def disable(config: Path | None, login: str, *, as_json: bool) -> int:
    """Switch a user off."""
    return _change(config, login, Administration.switch_off, "is switched off", as_json=as_json)


def enable(config: Path | None, login: str, *, as_json: bool) -> int:
    """Switch a user on again."""
    return _change(config, login, Administration.switch_on, "may sign in again", as_json=as_json)


def unlock(config: Path | None, login: str, *, as_json: bool) -> int:
    """Let a locked user name be tried again."""
    return _change(config, login, Administration.unlock, "can be tried again", as_json=as_json)


def _link(
    config: Path | None,
    login: str,
    act: Callable[[Administration, Transaction, Opened], Invitation | NotDone],
    done: str,
    *,
    as_json: bool,
) -> int:
    with interruptible() as progress, opened(config) as session:
        acts = Administration(_context(session))
        with session.store.write() as conn:
            invitation = _done(act(acts, conn, session))
            progress.done = "the link may have been made; `carebell portal user invite` prints a new one"
        section = session.loaded.configuration.portal
        link = f"{section.url_at(section.port)}/set-up/{invitation.token}"
        person = invitation.person
        row = {"link": link, "until": iso(invitation.ends_at), **_row(person)}
        sentence = f"{person.login} {done}. This link sets the password, once, until {iso(invitation.ends_at)}:"
        print_result(row, sentence, as_json=as_json)
        if not as_json:
            print(link)
        if not section.enabled:
            warning = (
                "portal.enabled is false in carebell.yaml: the link works when it is true and the service restarted"
            )
            print(f"carebell: warning: {warning}", file=sys.stderr)
    return OK


def _change(
    config: Path | None,
    login: str,
    act: Callable[[Administration, Transaction, Author, str], Person | NotDone],
    done: str,
    *,
    as_json: bool,
) -> int:
    with interruptible() as progress, opened(config) as session:
        acts = Administration(_context(session))
        with session.store.write() as conn:
            person = _done(act(acts, conn, session.author, _id_of(conn, login)))
            progress.done = "it may have been done; `carebell portal user list` says"
        progress.done = f"{person.login} {done}"
    print_result(_row(person), f"{person.login} {done}", as_json=as_json)
    return OK


def _context(session: Opened) -> PeopleContext:
    configuration, now = session.loaded.configuration, session.now()
    return PeopleContext(
        store=session.store,
        vault=session.vault,
        settings=lambda: configuration.portal,
        organization=lambda: configuration.organization.name,
        environments=lambda: approvers_by_environment(configuration),
        now=lambda: now,
        passwords=Passwords(),
    )


def _id_of(conn: Transaction, login: str) -> str:
    usual = normal_login(login)
    user = None if usual is None else users.by_login(conn, usual)
    return "" if user is None else user.id


def _done(outcome: Outcome | NotDone) -> Outcome:
    """What was done. Stop with the reason why nothing was."""
    if not isinstance(outcome, NotDone):
        return outcome
    reason = outcome.reason
    assert reason is not None, "no password is chosen here"
    if reason in _USAGE:
        raise UsageStop(_USAGE[reason])
    raise Stop(_REFUSALS[reason])


def _row(person: Person) -> dict[str, object]:
    return {
        "login": person.login,
        "name": person.name,
        "role": person.role,
        "environments": list(person.environments),
        "last_sign_in": iso(person.last_sign_in_at),
        "second_factor": person.has_second_factor,
        "provider": person.signs_in_elsewhere,
        "disabled": iso(person.disabled_at),
        "locked": person.is_locked,
        "invited_until": iso(person.invited_until),
    }


def _state(person: Person) -> str:
    if person.disabled_at is not None:
        return "switched off"
    if person.is_locked:
        return "locked for strangers"
    if person.invited_until is not None:
        return "invited"
    return "active" if person.has_password or person.signs_in_elsewhere else "link is over"
