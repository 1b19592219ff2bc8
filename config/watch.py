"""Hot reload: when the configuration or a named file changes, or SIGHUP arrives, read it again and return the result.

The folders are watched, not the files: editors replace a file by renaming another onto it, and Kubernetes swaps a symlink
(`..data`) beside it. So any change in a folder is a reason to look, and only a new *content* is a reason to report. What is
wrong is reported as the ConfigurationError; the caller keeps the old configuration and logs the error.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Final

from watchfiles import awatch

from config.bounded_work import BoundedThread
from config.digests import digests_of
from config.load import Loaded
from config.problems import ConfigurationError, Problem, SourceLocation

DEBOUNCE_MS: Final = 300
"""An editor's save, or a ConfigMap's swap, is several events within some ten milliseconds."""
RECHECK_MS: Final = 2000
"""The files are compared this often without any event too: network file systems tell nothing, and a change may fall between
two watches. It reads a handful of small files."""

READ_SECONDS: Final = 10.0
"""A configuration of fifty environments is read in 3 s; a file server that does not answer in ten is reported."""

Outcome = Loaded | ConfigurationError


class Watch:
    """Yields a `Loaded` or a `ConfigurationError` for every change of content.

    What is compared is what was loaded with what is there, from the first moment on: a change before the watch began is a change.
    A wrong configuration is reported once, and again when a file changed or it is wrong in another way.

    Args:
        current: what is in force; its files are watched. Own field maps and texts may lie in other folders.
        load: reads everything again, e.g. `lambda: load(path, os.environ)`; runs in a thread.
        recheck_ms: see RECHECK_MS.
        read_seconds: see READ_SECONDS.

    Attributes:
        asked: whether the last report was asked for by `reload`, changed or not.
    """

    def __init__(
        self,
        current: Loaded,
        load: Callable[[], Loaded],
        *,
        debounce_ms: int = DEBOUNCE_MS,
        recheck_ms: int = RECHECK_MS,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.asked = False
        self._load = load
        self._path = current.path
        self._debounce_ms = debounce_ms
        self._recheck_ms = recheck_ms
        self._reader = BoundedThread("configuration", read_seconds)
        self._digests = dict(current.digests)
        self._wrong: str | None = None
        self._refused = False
        self._forced = False
        self._stopped = asyncio.Event()
        self._wake = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def reload(self) -> None:
        """SIGHUP: read again now and report, changed or not."""
        self._forced = True
        self._wake.set()

    def refuse(self) -> None:
        """The last `Loaded` was not taken: it is reported again at every look, until one is that is not refused.

        What stood against it may lie outside the files: a folder, a mode, an address that another program has.
        """
        self._refused = True

    def stop(self) -> None:
        """End the iteration."""
        self._stopped.set()
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        while True:
            outcome = await self._look()
            if self.stopped:
                return
            if outcome is not None:
                yield outcome
            await self._wait()

    async def _wait(self) -> None:
        """Until something in a folder changed, the time to compare has come, or `reload` or `stop` was called."""
        names = {path.name for path in self._digests}
        changes = awatch(
            *_folders(self._digests),
            # The database may lie in the same folder: its writes are not looked at.
            watch_filter=lambda _change, path: _may_matter(path, names),
            debounce=self._debounce_ms,
            step=min(50, self._debounce_ms),
            stop_event=self._wake,
            recursive=False,
        )
        # Not awatch's own timeout: it begins anew with each write in the folder, and the log may lie there too.
        recheck = asyncio.get_running_loop().call_later(self._recheck_ms / 1000, self._wake.set)
        try:
            await anext(changes, None)
        except Exception:  # a folder vanished this moment, or no descriptor or watch is left: compare from time to time
            await self._wake.wait()
        finally:
            recheck.cancel()
            await changes.aclose()
        self._wake.clear()

    async def _look(self) -> Outcome | None:
        """Read again if there is a reason; None if there is nothing to report."""
        forced, self._forced = self._forced, False
        try:
            outcome, changed = await self._reader.run(partial(self._read, forced))
        except TimeoutError as error:
            place = SourceLocation(str(self._path))
            outcome, changed = ConfigurationError([Problem.at(place, (), f"cannot be read: {error}")]), False
        if isinstance(outcome, Loaded):
            self.asked, self._wrong, self._refused = forced, None, False
            self._digests = dict(outcome.digests)
        elif outcome is not None:
            known, self._wrong = self._wrong, str(outcome)
            if not (forced or changed or known != self._wrong):
                return None
            self.asked = forced
        return outcome

    def _read(self, forced: bool) -> tuple[Outcome | None, bool]:
        """In a thread: what is there if there is a reason to load it, and whether it is another content than at the last look."""
        there = digests_of(self._digests)
        changed = there != self._digests
        # While it is wrong, any file may be the one that makes it right: one that is named but not there yet, say.
        if not (changed or forced or self._refused or self._wrong is not None):
            return None, False
        self._digests = there
        try:
            return self._load(), changed
        except ConfigurationError as error:
            return error, changed


def _may_matter(path: str, names: set[str]) -> bool:
    """YAML, a file by one of the names watched, or what Kubernetes swaps (`..data`)."""
    name = Path(path).name
    return name in names or name.endswith((".yaml", ".yml")) or name.startswith("..")


def _folders(paths: Iterable[Path]) -> list[Path]:
    """The folders to watch, those behind symlinks too; a folder that is gone is left out."""
    folders: dict[Path, None] = {}
    for path in paths:
        for folder in (path.absolute().parent, path.resolve().parent):
            if folder.is_dir():
                folders[folder] = None
    return list(folders)
