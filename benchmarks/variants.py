"""`carebell serve` with one thing changed, to see what that thing is worth; without variables it is the service as shipped.

CAREBELL_BENCH_BATCH=1          groups of one: a commit for each message
CAREBELL_BENCH_COMMIT_MS=5      a slower disk: so much is added to every commit
CAREBELL_BENCH_APART=1          a group's work on the committer's thread too, not only its waiting
CAREBELL_BENCH_UNLIMITED=1      a sender may send as fast as it can
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def apply(batch: int | None, commit_seconds: float, *, apart: bool) -> None:
    """Change this process, before the service begins."""
    from store import committer, engine

    defaults = committer.Committer.__init__.__kwdefaults__
    assert defaults is not None
    if apart:
        defaults["apart"] = True
    if batch is not None:
        defaults["batch"] = batch
    if commit_seconds:
        real = engine.Store.write

        @contextmanager
        def slower(store: engine.Store, *, at_once: bool = False) -> Iterator[Any]:
            with real(store, at_once=at_once) as conn:
                yield conn
                time.sleep(commit_seconds)  # inside, while the lock is held, as a slow fsync would be

        engine.Store.write = slower  # type: ignore[method-assign,assignment]


def main() -> None:
    """Serve."""
    batch = os.environ.get("CAREBELL_BENCH_BATCH")
    apart = bool(os.environ.get("CAREBELL_BENCH_APART"))
    apply(int(batch) if batch else None, float(os.environ.get("CAREBELL_BENCH_COMMIT_MS", "0")) / 1000, apart=apart)
    if os.environ.get("CAREBELL_BENCH_UNLIMITED"):
        from carebell.outbound import budgets

        budgets.default_rate = lambda sender: 1e6  # type: ignore[attr-defined]
    from carebell.__main__ import main as carebell

    sys.argv = ["carebell", "serve", *sys.argv[1:]]
    carebell()


if __name__ == "__main__":
    main()
