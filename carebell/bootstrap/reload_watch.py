"""Follow the configuration's files while the service runs, and end with it."""

from __future__ import annotations

import asyncio
from typing import Final

from carebell.bootstrap.reload import Reloader
from carebell.maintenance.supervisor import BackgroundTask, Supervisor
from config.watch import Watch

_ENDS: Final = 1.0
"""Seconds that a reload under way has when the service is told to end."""


class ReloadWatch:
    """Runs from its making, on the loop's thread, until `end()`."""

    def __init__(self, watch: Watch, reloader: Reloader, supervisor: Supervisor) -> None:
        self._watch = watch
        self._following: BackgroundTask = supervisor.start(
            "reload", lambda: reloader.follow(watch), is_over=lambda: watch.stopped
        )

    def reload(self) -> None:
        """Look at the files now."""
        self._watch.reload()

    async def end(self) -> None:
        """A reload under way has a moment to come to its end; a file server may never let it."""
        if self._following.task is None:
            return
        self._watch.stop()
        await asyncio.wait({self._following.task}, timeout=_ENDS)
        self._following.task.cancel()
        await self._following
