"""Which environments somebody may see."""

from __future__ import annotations

from config.load import Loaded


def own_environments(loaded: Loaded, scope: frozenset[str] | None) -> list[str]:
    """Those of the configuration in force that are in `scope` (None: all), in its order."""
    return [name for name in loaded.configuration.environments if scope is None or name in scope]
