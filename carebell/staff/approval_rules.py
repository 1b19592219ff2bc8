"""A change of who approves an environment, or of whether anybody must: it needs the agreement of an approver of before.

Such an agreement is for one proposal. It is kept as an approval is, under a fingerprint of its own, so that it never counts for the
facts of an environment, and never for the same change made another time.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Final

from config.portal_settings import Approval
from ehr.fingerprint import ApprovedFacts
from portal.pages.environments.approval_desk import ApprovalFactRow

_REQUIRED: Final = "Approval needed"
_APPROVERS: Final = "Who may approve"


def takes_word_away(present: Approval, wanted: Approval | None) -> bool:
    """Whether approvers of now would have less to say, or share it with others.

    Args:
        wanted: None: the environment is removed, so it could come back without them.
    """
    if not present.required:
        return False
    return wanted is None or not wanted.required or set(present.approvers) != set(wanted.approvers)


def rules_fingerprint(facts: ApprovedFacts, wanted: Approval | None, proposal: str) -> str:
    """64 hexadecimal digits, of the facts with the rules as they would be, for this proposal alone. Arguments as above."""
    rules = {
        "facts": facts.to_json(),
        "required": wanted is not None and wanted.required,
        "approvers": [] if wanted is None else sorted(set(wanted.approvers)),
        "removed": wanted is None,
        "proposal": proposal,
    }
    return hashlib.sha256(json.dumps(rules, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def rule_rows(present: Approval, wanted: Approval | None) -> Sequence[ApprovalFactRow]:
    """What changes of the rules, as the page Approval shows it above the facts. Arguments as above."""
    if wanted is None:
        return [ApprovalFactRow(label="Environment", value="removed", before="there")]
    pairs = (
        (_REQUIRED, _yes(present.required), _yes(wanted.required)),
        (_APPROVERS, _names(present.approvers), _names(wanted.approvers)),
    )
    return [
        ApprovalFactRow(label=label, value=after, before=before) for label, before, after in pairs if before != after
    ]


def _yes(needed: bool) -> str:
    return "yes" if needed else "no"


def _names(logins: Sequence[str]) -> str:
    return ", ".join(sorted(set(logins))) or "nobody"
