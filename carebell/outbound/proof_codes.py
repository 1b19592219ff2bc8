"""A code that comes back in a signed message proves that whoever has it reaches the EHR's interface: key, feed and route.

A code is twelve letters, made of the environment, the fingerprint, the user and the day with a key that nobody else has, so none is
stored. It stands alone in MSH-10 or in NTE-3. Only a message that has twelve such letters there is looked at further.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from carebell.environment_policy import EnvironmentPolicy
from carebell.outbound.approval_steps import Question, prove
from store import approvals
from store.approvals import Proof
from store.audit import Author
from store.engine import Transaction
from store.keys import KeyRing

_LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
"""No vowels, so that no word results, and no Y."""
_LENGTH: Final = 12
_CODE: Final = re.compile(rb"[BCDFGHJKLMNPQRSTVWXZ]{12}")
_NTE_COMMENT: Final = 3
_MSH_CONTROL_ID: Final = 9
"""MSH-10 in the fields after splitting, because the separator itself is MSH-1."""


def proof_code(ring: KeyRing, environment: str, fingerprint: str, login: str, at: datetime) -> str:
    """The code that this user gets on this day (UTC)."""
    day = at.astimezone(UTC).date().isoformat()
    number = int.from_bytes(ring.proof_key(environment, fingerprint, login, day), "big")
    letters = []
    for _ in range(_LENGTH):
        number, place = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[place])
    return "".join(letters)


def codes_in(payload: bytes) -> frozenset[str]:
    """What could be a code in a message's MSH-10 and NTE-3.

    Args:
        payload: as it was signed, segments with CR between them.
    """
    if not _CODE.search(payload):
        return frozenset()
    separator = payload[3:4]
    written = []
    for segment in payload.split(b"\r"):
        fields = segment.split(separator)
        place = {b"MSH": _MSH_CONTROL_ID, b"NTE": _NTE_COMMENT}.get(fields[0])
        if place is not None and len(fields) > place:
            written.append(fields[place].strip())
    return frozenset(text.decode("ascii") for text in written if _CODE.fullmatch(text))


def note_codes(
    conn: Transaction, ring: KeyRing, policy: EnvironmentPolicy, codes: frozenset[str], at: datetime
) -> Sequence[str]:
    """A verified message of this environment had these codes; the logins of those who proved access with them.

    It takes the lock of the audit log: the last thing in a transaction.
    """
    approvers = policy.environment.approval.approvers
    proved = []
    for step in approvals.open_steps(conn, policy.name):
        for login in approvers:
            valid = {proof_code(ring, policy.name, step.fingerprint, login, at - age) for age in (_NONE, _DAY)}
            if not valid & codes:
                continue
            question = Question(
                environment=policy.name, fingerprint=step.fingerprint, facts=step.facts, proposal=step.proposal
            )
            author = Author(who=f"portal:{login}", origin="way=message")
            if prove(conn, question, Proof.MESSAGE, author, at=at):
                proved.append(login)
    return proved


_NONE: Final = timedelta()
_DAY: Final = timedelta(days=1)
"""A code of yesterday counts too, so that midnight takes nobody's away."""
