"""Hot reload: when the configuration or a file it names changes, or SIGHUP arrives, read it anew and hand on the result.

The folders are watched, not the files: editors replace a file by renaming another onto it, and Kubernetes swaps a symlink
(`..data`) beside it. So any change in a folder is a reason to look, and only a new *content* is a reason to report. What is
wrong is reported as the ConfigurationError; the caller keeps the old configuration and logs it.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from watchfiles import awatch

from config.load import Loaded
from config.problems import ConfigurationError

DEBOUNCE_MS: Final = 300
"""An editor's save, or a ConfigMap's swap, is several events within some ten milliseconds."""
RECHECK_MS: Final = 2000
"""The files are compared this often without any event too: network file systems tell nothing, and a change may fall between
two watches. It reads a handful of small files."""

Outcome = Loaded | ConfigurationError


class Watch:
    """Yields a `Loaded` or a `ConfigurationError` for every change of content.

    A wrong configuration is reported once, and again when a file changed or it is wrong in another way.

    Args:
        current: what is in force; its files are watched. Own field maps and texts may lie in other folders.
        load: reads everything anew, e.g. `lambda: load(path, os.environ)`; runs in a thread.
        recheck_ms: see RECHECK_MS.
    """

    def __init__(
        self,
        current: Loaded,
        load: Callable[[], Loaded],
        *,
        debounce_ms: int = DEBOUNCE_MS,
        recheck_ms: int = RECHECK_MS,
    ) -> None:
        self._load = load
        self._debounce_ms = debounce_ms
        self._recheck_ms = recheck_ms
        self._files = current.files
        self._seen = _fingerprint(current.files)
        self._wrong: str | None = None
        self._forced = False
        self._stopped = asyncio.Event()
        self._wake = asyncio.Event()

    @property
    def stopped(self) -> bool:
        """Whether `stop` was called."""
        return self._stopped.is_set()

    def reload(self) -> None:
        """SIGHUP: read again now and report, changed or not. For `loop.add_signal_handler(signal.SIGHUP, watch.reload)`."""
        self._forced = True
        self._wake.set()

    def stop(self) -> None:
        """End the iteration."""
        self._stopped.set()
        self._wake.set()

    async def __aiter__(self) -> AsyncIterator[Outcome]:
        while not self._stopped.is_set():
            await self._wait()
            if self._stopped.is_set():
                return
            outcome = await self._look()
            if outcome is not None:
                yield outcome

    async def _wait(self) -> None:
        """Until something in a folder changed, the time to compare has come, or `reload` or `stop` was called."""
        names = {path.name for path in self._files}
        changes = awatch(
            *_folders(self._files),
            # The database may lie in the same folder: its writes are not looked at.
            watch_filter=lambda _change, path: _may_matter(path, names),
            debounce=self._debounce_ms,
            step=min(50, self._debounce_ms),
            rust_timeout=self._recheck_ms,
            yield_on_timeout=True,
            stop_event=self._wake,
            recursive=False,
        )
        try:
            await anext(changes, None)
        except OSError:  # a folder vanished this moment, or the kernel has no watches left: compare from time to time
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._recheck_ms / 1000)
        finally:
            await changes.aclose()
        self._wake.clear()

    async def _look(self) -> Outcome | None:
        """Read anew if there is a reason to; None where nothing is to be reported."""
        forced, self._forced = self._forced, False
        seen = await asyncio.to_thread(_fingerprint, self._files)
        # While it is wrong, any file may be the one that makes it right: one that is named but not there yet, say.
        if seen == self._seen and not forced and self._wrong is None:
            return None
        changed, self._seen = seen != self._seen, seen
        try:
            loaded = await asyncio.to_thread(self._load)
        except ConfigurationError as error:
            known, self._wrong = self._wrong, str(error)
            return error if forced or changed or known != self._wrong else None
        self._wrong = None
        after = await asyncio.to_thread(_fingerprint, loaded.files)
        # A change while we read is seen at the next look: then nothing is taken as seen.
        self._seen = after if await asyncio.to_thread(_fingerprint, self._files) == seen else b""
        self._files = loaded.files
        return loaded


def _may_matter(path: str, names: set[str]) -> bool:
    """YAML, a file by one of the names watched, or what Kubernetes swaps (`..data`)."""
    name = Path(path).name
    return name in names or name.endswith((".yaml", ".yml")) or name.startswith("..")


def _folders(paths: Iterable[Path]) -> list[Path]:
    """The folders to watch, those behind symlinks too; a folder that is gone is left out."""
    found: dict[Path, None] = {}
    for path in paths:
        for folder in (path.absolute().parent, path.resolve().parent):
            if folder.is_dir():
                found[folder] = None
    return list(found)


def _fingerprint(paths: Iterable[Path]) -> bytes:
    """Of the files' contents; a missing or unreadable one counts as such."""
    digest = hashlib.sha256()
    for path in paths:
        try:
            content = path.read_bytes()
        except OSError:
            digest.update(b"-")
        else:
            digest.update(b"+%d:" % len(content) + content)
    return digest.digest()
