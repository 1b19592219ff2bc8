"""What the page Opt-outs asks for: how many there are, and adding or taking one back by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from carebell.bootstrap.running_service import RunningService
from carebell.outbound import manual_opt_outs
from carebell.staff.people_context import author_of
from parser.phone_number import typed_number
from portal.pages.opt_outs import OptOutDone, OptOutTotals
from portal.people import Browser, Session
from store import optouts

_NO_NUMBER = "That is no telephone number. Type it with its country code, such as +1 425 555 0100."


@dataclass(frozen=True, slots=True, kw_only=True)
class StaffOptOuts:
    """`portal.pages.opt_outs.OptOutDesk` over the store."""

    running: RunningService

    def totals(self) -> Sequence[OptOutTotals]:
        with self.running.store.read() as conn:
            return [
                OptOutTotals(sender=None if sender == optouts.EVERY_SENDER else sender, count=count)
                for sender, count in optouts.counted(conn)
            ]

    def add(self, by: Session, number: str, browser: Browser) -> OptOutDone | str:
        phone = typed_number(number)
        if phone is None:
            return _NO_NUMBER
        with self.running.store.write() as conn:
            manual_opt_outs.add(
                conn, author_of(by, browser), phone, self._senders(), self.running.vault.ring, source="portal",
                at=self.running.clock.now(),
            )  # fmt: skip
        return OptOutDone(masked=phone.masked, changed=True)

    def remove(self, by: Session, number: str, reason: str, browser: Browser) -> OptOutDone | str:
        phone = typed_number(number)
        if phone is None:
            return _NO_NUMBER
        with self.running.store.write() as conn:
            removed = manual_opt_outs.remove(
                conn, author_of(by, browser), phone, self._senders(), self.running.vault.ring, reason=reason,
                at=self.running.clock.now(),
            )  # fmt: skip
        return OptOutDone(masked=phone.masked, changed=bool(removed))

    def _senders(self) -> list[str]:
        return [*manual_opt_outs.senders_of(self.running.loaded().configuration), optouts.EVERY_SENDER]
