"""P6: approvals race reloads, proofs grow old, several people press: no text ever leaves under facts that nobody approved."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from carebell import authors
from carebell.outbound import approval_holds
from carebell.outbound.approval_steps import NotApproved, Question, approve, prove, send_back
from ehr.fingerprint import ApprovedFacts, fingerprint
from scheduler.sms import SmsState
from store.approvals import Proof
from tests.carebell.pieces import pieces
from tests.carebell.pocket_twilio import PocketTwilio
from tests.faults.conftest import Tally
from tests.story.ehr import PHONE, unsigned

NOW: Final = datetime(2026, 3, 2, 18, 0, tzinfo=UTC)
NUMBERS: Final = ("+14255550100", "+14255550199")
PEOPLE: Final = ("dana", "lee")
HALF_HOUR: Final = timedelta(minutes=30)


def question_of(facts: ApprovedFacts) -> Question:
    return Question(environment="production", fingerprint=fingerprint(facts), facts=facts.to_json())


@pytest.mark.faults("P6")
def test_no_text_leaves_under_facts_that_nobody_approved(tally: Tally, tmp_path: Path) -> None:
    """What is approved is known here by a second reckoning: a proof of this person, for these facts, not half an hour old."""
    rng = random.Random(6)
    changes = {"environments": {"production": {"approval": {"required": True, "approvers": list(PEOPLE)}}}}
    sms = {"debounce": "0s", "reminders": []}
    twilio = PocketTwilio(now=lambda: NOW)
    with pieces(tmp_path / "clinic", at=NOW, gateway=twilio, sms=sms, changes=changes) as service:
        twilio.now = service.clock.now
        policy = service.runtime_config.policies["production"]
        assert policy.facts is not None
        facts = [replace(policy.facts, sms_from=number) for number in NUMBERS]
        approved: set[str] = set()
        proofs: dict[str, tuple[str, datetime]] = {}
        booked = 0
        for _ in tally.rounds():
            service.step(timedelta(minutes=rng.choice((0, 1, 2, 31 if rng.random() < 0.3 else 5))))
            # A new fingerprint in place of an old one now and then, so that there is always something to approve.
            if rng.random() < 0.03:
                place = rng.randrange(len(facts))
                facts[place] = replace(facts[place], consent_field=f"ZCS-{rng.randrange(1, 10_000)}")
            asked, login = question_of(rng.choice(facts)), rng.choice(PEOPLE)
            author, now = authors.portal(login, "192.0.2.7"), service.now
            act = rng.choice(("reload", "prove", "prove", "approve", "approve", "send back", "book", "book", "beat"))
            if act == "reload":
                changed = replace(policy, facts=rng.choice(facts))
                service.runtime_config = replace(service.runtime_config, policies={"production": changed})
            elif act == "book":
                booked += 1
                start = now + timedelta(days=9)
                service.hear(unsigned("S12", f"m{booked}", sent=now, start=start, reference=f"A{booked}", phone=PHONE))
            elif act == "beat":
                with service.store.write() as conn:
                    approval_holds.settle(conn, service.runtime_config, authors.service("n1"), at=now)
            elif act == "prove":
                with service.store.write() as conn:
                    done = prove(conn, asked, Proof.SIGN_IN, author, at=now)
                assert done == (asked.fingerprint not in approved)
                if done:
                    proofs[asked.fingerprint] = (login, now)
            elif act == "send back":
                with service.store.write() as conn:
                    if send_back(conn, asked, author, "not this one", at=now):
                        proofs.pop(asked.fingerprint, None)
            else:
                whose, at = proofs.get(asked.fingerprint, ("", now))
                expected = asked.fingerprint not in approved and whose == login and now < at + HALF_HOUR
                present = service.runtime_config.policies["production"].facts
                is_in_force = present is not None and fingerprint(present) == asked.fingerprint
                try:
                    with service.store.write() as conn:
                        approve(conn, asked, author, at=now, is_in_force=is_in_force, same_person=False)
                    assert expected
                    approved.add(asked.fingerprint)
                    proofs.pop(asked.fingerprint)
                    tally.seen["approved"] += 1
                except NotApproved:
                    assert not expected
                    tally.seen["not approved"] += 1
            present = service.runtime_config.policies["production"].facts
            assert present is not None
            sent = service.tick()
            assert not sent or fingerprint(present) in approved
            tally.seen["sent"] += sent
        assert tally.seen["approved"], "the rounds reach what they are about"
        assert tally.seen["sent"]
        # None is lost: with the facts in force approved, everything that waits leaves or is a silence with a reason.
        present = service.runtime_config.policies["production"].facts
        assert present is not None
        if fingerprint(present) not in approved:
            with service.store.write() as conn:
                prove(conn, question_of(present), Proof.SIGN_IN, authors.portal("dana", "192.0.2.7"), at=service.now)
                approve(
                    conn, question_of(present), authors.portal("dana", "192.0.2.7"), at=service.now, is_in_force=True,
                    same_person=False,
                )  # fmt: skip
        service.tick()
        for _ in range(50):
            service.step(timedelta(hours=8))
            service.tick()
        assert service.count(SmsState.DUE) == 0
        assert len({row.reference for row in service.rows()}) == booked
