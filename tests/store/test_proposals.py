"""Proposals and approvals: a number in a proposal is unreadable when its time is over, and two decide nothing twice."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from store import approvals, proposals
from store.approvals import ApprovalState, ApprovalStep, Proof
from store.engine import Store
from store.forgetting import give_up_unreadable, sweep
from store.keys import KeyRing
from store.proposals import ProposalState
from store.tables import proposals as proposals_table
from store.vault import Vault
from tests.store.portal_samples import proposal
from tests.store.samples import NOW

DAY = timedelta(days=1)
LATER = NOW + timedelta(minutes=5)


def test_a_proposal_comes_back_and_its_numbers_are_sealed(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        proposals.add(conn, vault, proposal())
        proposals.foreseen(conn, "p1", '{"planned": 37}')
        expected = replace(proposal(), effect='{"planned": 37}')
        assert proposals.find(conn, vault, "p1", LATER) == expected
        assert proposals.find(conn, vault, "p1", LATER, lock=True) == expected
        assert proposals.listed(conn) == [replace(expected, text=None, edits=None)]
        row = conn.execute(select(proposals_table)).mappings().one()
        assert b"0143" not in row["text"] + row["edits"]
        assert "0143" not in repr(expected)
        assert proposals.find(conn, vault, "p2", LATER) is None


def test_a_draft_is_written_again_until_its_time_is_over_and_waits_for_nothing(store: Store, vault: Vault) -> None:
    draft = proposal(state=ProposalState.DRAFT, edits=None)
    with store.write() as conn:
        proposals.add(conn, vault, draft)
        assert proposals.find(conn, vault, "p1", LATER) == draft
        assert proposals.redraft(conn, vault, draft, "+12025550199")
        again = proposals.find(conn, vault, "p1", LATER)
        assert again == replace(draft, text="+12025550199")
        assert not again.is_undecided(LATER)
        assert proposals.listed(conn, states=proposals.UNDECIDED) == []
        assert proposals.expire(conn, draft.ends_at) == 1
        assert not proposals.redraft(conn, vault, draft, "more")
        assert conn.execute(select(proposals_table.c.text)).one() == (None,)
        proposals.add(conn, vault, proposal(id="p2"))
        assert not proposals.redraft(conn, vault, proposal(id="p2"), "no draft")


@pytest.mark.parametrize("state", [ProposalState.SAVED, ProposalState.WITHDRAWN, ProposalState.SENT_BACK])
def test_a_decision_is_made_once_and_leaves_no_text(store: Store, vault: Vault, state: ProposalState) -> None:
    with store.write() as conn:
        proposals.add(conn, vault, proposal())
        assert proposals.decide(conn, "p1", state, by="ann", at=LATER, comment="ticket 4711", version="v2")
        assert not proposals.decide(conn, "p1", ProposalState.SAVED, by="kim", at=LATER)
        assert proposals.find(conn, vault, "p1", LATER) == replace(
            proposal(),
            text=None,
            edits=None,
            state=state,
            comment="ticket 4711",
            decided_by="ann",
            decided_at=LATER,
            version="v2",
        )
        assert conn.execute(select(proposals_table.c.text, proposals_table.c.edits)).one() == (None, None)


def test_of_two_decisions_at_once_one_counts(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        proposals.add(conn, vault, proposal())

    def decide(state: ProposalState) -> bool:
        with store.write() as conn:
            return proposals.decide(conn, "p1", state, by="ann", at=LATER)

    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(decide, [ProposalState.SAVED, ProposalState.WITHDRAWN])) == 1


def test_one_that_waits_for_an_approval_is_kept_longer(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        proposals.add(conn, vault, proposal())
        ends_at = NOW + 14 * DAY
        assert proposals.await_approval(conn, vault, proposal(), ends_at=ends_at, comment="new number")
        sweep(conn, vault, NOW + 3 * DAY)
        kept = proposals.find(conn, vault, "p1", NOW + 3 * DAY)
        assert kept == replace(proposal(), state=ProposalState.AWAITING, ends_at=ends_at, comment="new number")
        assert not proposals.await_approval(conn, vault, proposal(), ends_at=ends_at, comment=None)


def test_its_time_is_over(store: Store, vault: Vault) -> None:
    ends_at = proposal().ends_at
    with store.write() as conn:
        proposals.add(conn, vault, proposal())
        over = proposals.find(conn, vault, "p1", ends_at)
        assert over is not None
        assert over.text is None
        assert not proposals.decide(conn, "p1", ProposalState.SAVED, by="ann", at=ends_at)
        sweep(conn, vault, ends_at)
        assert [one.state for one in proposals.listed(conn)] == [ProposalState.EXPIRED]
        assert proposals.listed(conn, states=proposals.UNDECIDED) == []
        assert conn.execute(select(proposals_table.c.text)).scalar_one() is None
        sweep(conn, vault, ends_at + proposals.KEEP)
        assert proposals.listed(conn) == []


def test_a_lost_key_ends_it(store: Store, vault: Vault) -> None:
    with store.write() as conn:
        proposals.add(conn, vault, proposal())
        proposals.add(conn, vault, proposal(id="p2", text=None, edits=None))
        give_up_unreadable(conn, Vault(KeyRing(current=1, masters={1: b"x" * 32}, pepper=b"y" * 32)))
        assert {one.id: one.state for one in proposals.listed(conn)} == {
            "p1": ProposalState.EXPIRED,
            "p2": ProposalState.OPEN,
        }


FACTS = {"sms.from": "+14255550100", "kind": "production"}


def _step(state: ApprovalState, **changes: object) -> ApprovalStep:
    plain = ApprovalStep(
        environment="production",
        fingerprint=approvals.fingerprint_of(FACTS),
        facts=approvals.canonical(FACTS),
        state=state,
        actor="dana",
        at=NOW,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]  # a test's own names


def test_a_fingerprint_is_of_the_facts_alone() -> None:
    """Not of their order; and anybody can compute it: sha256sum of the canonical JSON."""
    turned = dict(reversed(FACTS.items()))
    assert approvals.canonical(turned) == '{"kind":"production","sms.from":"+14255550100"}'
    assert approvals.fingerprint_of(turned) == approvals.fingerprint_of(FACTS)
    assert approvals.fingerprint_of(FACTS) == "e07945cf0893848abfa8a13a8a2565838fcc0672d331cac69597999293a95b37"
    assert approvals.fingerprint_of({**FACTS, "kind": "test"}) != approvals.fingerprint_of(FACTS)


def test_an_approval_goes_its_steps(store: Store) -> None:
    fingerprint = approvals.fingerprint_of(FACTS)
    with store.write() as conn:
        for number, state in enumerate((ApprovalState.AWAITING, ApprovalState.PROVED, ApprovalState.APPROVED), 1):
            proof = Proof.MESSAGE if state is ApprovalState.PROVED else None
            taken = approvals.add(conn, _step(state, proof=proof, proof_facts=proof and "{}"))
            assert taken is not None
            assert taken.seq == number
            assert approvals.current(conn, "production") == taken
        assert approvals.latest(conn, "production", fingerprint) == taken
        assert [(step.seq, step.proof) for step in approvals.history(conn, "production")] == [
            (3, None),
            (2, Proof.MESSAGE),
            (1, None),
        ]
        assert approvals.approved(conn) == {"production": frozenset({fingerprint})}
        assert approvals.last_approved(conn, "production") == taken


@pytest.mark.parametrize("before", [None, *ApprovalState])
@pytest.mark.parametrize("after", list(ApprovalState))
def test_a_step_follows_from_the_one_before(store: Store, before: ApprovalState | None, after: ApprovalState) -> None:
    ways = {
        None: (),
        ApprovalState.DRAFT: (ApprovalState.DRAFT,),
        ApprovalState.AWAITING: (ApprovalState.AWAITING,),
        ApprovalState.PROVED: (ApprovalState.AWAITING, ApprovalState.PROVED),
        ApprovalState.APPROVED: (ApprovalState.AWAITING, ApprovalState.PROVED, ApprovalState.APPROVED),
        ApprovalState.SENT_BACK: (ApprovalState.AWAITING, ApprovalState.SENT_BACK),
    }
    with store.write() as conn:
        for state in ways[before]:
            assert approvals.add(conn, _step(state)) is not None
        assert (approvals.add(conn, _step(after)) is not None) == (after in approvals.NEXT[before])
    # What no way may lead past: nothing is approved unless access was proved for it just before.
    assert [state for state, following in approvals.NEXT.items() if ApprovalState.APPROVED in following] == [
        ApprovalState.PROVED
    ]


def test_facts_that_come_back_are_still_approved_and_others_are_not(store: Store) -> None:
    with store.write() as conn:
        for state in (ApprovalState.AWAITING, ApprovalState.PROVED, ApprovalState.APPROVED):
            approvals.add(conn, _step(state))
        other = {"fingerprint": "f2", "facts": "{}"}
        approvals.add(conn, _step(ApprovalState.AWAITING, **other))
        approvals.add(conn, _step(ApprovalState.AWAITING, environment="test"))
        first = approvals.fingerprint_of(FACTS)
        assert approvals.approved(conn) == {"production": frozenset({first})}
        approvals.add(conn, _step(ApprovalState.AWAITING))
        assert approvals.approved(conn) == {}
        stood = approvals.last_approved(conn, "production")
        assert stood is not None
        assert stood.seq == 3


def test_of_two_approvers_at_once_one_approves(store: Store) -> None:
    with store.write() as conn:
        for state in (ApprovalState.AWAITING, ApprovalState.PROVED):
            approvals.add(conn, _step(state))

    def approve(actor: str) -> bool:
        with store.write() as conn:
            return approvals.add(conn, _step(ApprovalState.APPROVED, actor=actor)) is not None

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(approve, ("dana", "kim", "ann", "lee"))) == 1
