"""Which appointments have a text on its way to the gateway now, so that the ACK of a cancellation can wait for it.

Promise I4: no create starts after a cancellation was acknowledged. The dispatcher enters an appointment here, then checks whether
its row may still be posted, posts it, and takes the appointment out. The inbound side commits a change, then asks here. So either
the dispatcher's check saw the change and did not post, or the appointment is in here and the ACK waits until the post is over.
For texts that other processes post, the database is asked (`posts_elsewhere`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import Lock

from carebell.outbound.posts_elsewhere import PostsElsewhere
from store.sending import SendingText


class InFlight:
    """A thread-safe set of appointment ids, never more than the dispatcher posts at once.

    Args:
        elsewhere: asks for the texts of other processes; None: there are none.
    """

    def __init__(self, elsewhere: PostsElsewhere | None = None) -> None:
        self._elsewhere = elsewhere
        self._lock = Lock()
        self._under_way: Counter[str] = Counter()
        self._waiting: dict[str, list[Callable[[], None]]] = {}

    def enter(self, appointments: Iterable[str]) -> None:
        with self._lock:
            self._under_way.update(appointments)

    def leave(self, appointment: str) -> None:
        """Take an appointment out: the gateway has answered, or is not asked."""
        with self._lock:
            self._under_way[appointment] -= 1
            if self._under_way[appointment] > 0:
                return
            del self._under_way[appointment]
            waiting = self._waiting.pop(appointment, [])
        for call in waiting:
            call()

    def when_clear(
        self, appointments: Iterable[str], call: Callable[[], None], sending: Sequence[SendingText] = ()
    ) -> bool:
        """True: no text of these is under way. False: `call` runs, on another thread or later, when those under way now are over.

        Args:
            sending: texts of these appointments that were being sent, by whichever process, when the change was committed.
        """
        if not sending or self._elsewhere is None:
            return self._when_clear_here(appointments, call)
        then = partial(self._elsewhere.when_over, sending, call)
        if self._when_clear_here(appointments, then):
            then()
        return False

    def _when_clear_here(self, appointments: Iterable[str], call: Callable[[], None]) -> bool:
        with self._lock:
            busy = [appointment for appointment in appointments if appointment in self._under_way]
            if not busy:
                return True
            left = set(busy)

            def over(appointment: str) -> None:
                with self._lock:  # `leave` calls without it
                    left.discard(appointment)
                    last = not left
                if last:
                    call()

            for appointment in busy:
                self._waiting.setdefault(appointment, []).append(partial(over, appointment))
            return False
