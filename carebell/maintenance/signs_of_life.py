"""The sign of life for a service manager's watchdog: sent only while this node does what it is there for.

It is withheld for what a new start of the process mends: a run of a periodic task that does not come back, a committer that is
down or does not come back from a commit. It is not withheld for what a new start does not mend: a database or a gateway that is
away, a task that fails and is tried again. A loop that hangs sends nothing anyway.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from carebell.maintenance.periodic import PeriodicTasks
from carebell.maintenance.supervisor import Supervisor
from journal.events.service import WatchdogWithheld
from journal.logs import Journal

COMMIT_PATIENCE: Final = 60.0
"""Seconds for one group. A lock is waited for 5 s and a silent database server 10 s, twice where a node was first."""


@dataclass(slots=True, kw_only=True)
class SignsOfLife:
    """Attributes:
    committing: seconds since the group that is being committed was taken; 0: none is.
    send: tells the service manager.
    """

    supervisor: Supervisor
    periodic: PeriodicTasks
    committing: Callable[[], float]
    send: Callable[[], None]
    journal: Journal
    _withheld: str | None = field(default=None, init=False)

    async def look(self) -> None:
        """Send the sign of life, or log once why it is withheld."""
        problem = self.problem()
        if problem is None:
            self.send()
        elif problem != self._withheld:
            self.journal.emit(WatchdogWithheld(problem=problem))
        self._withheld = problem

    def problem(self) -> str | None:
        """Why this node does not work, in a phrase; None: it works."""
        if "committer" in self.supervisor.down():
            return "the committer is down: no message can be stored"
        if self.committing() > COMMIT_PATIENCE:
            return f"a commit has not come back for {COMMIT_PATIENCE:g} s"
        if hung := sorted(self.periodic.hung()):
            return f"runs that do not come back: {', '.join(hung)}"
        return None
