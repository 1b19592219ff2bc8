"""The answer to `GET /health`: whether the process is alive, whether it is ready for work, and which part is not.

Anybody who can reach the port sees a part's `detail`: ages, counts and names of environments, never patient data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthPart:
    """One thing the service needs.

    Attributes:
        ok: whether it works. needed: whether the service is not ready without it. An open breaker is shown, but is not a
            reason to take the node out of a load balancer.
        detail: JSON values, units in the names: `{"lag_seconds": 3.2}`.
    """

    ok: bool
    needed: bool = True
    detail: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The health of a node: usually the parts `database`, `listener`, `dispatcher` and `gateway`, if this node has them.

    Attributes:
        live: False asks a supervisor to restart the process.
    """

    live: bool = True
    parts: Mapping[str, HealthPart] = field(default_factory=dict)

    @property
    def ready(self) -> bool:
        return self.live and all(part.ok for part in self.parts.values() if part.needed)

    def as_json(self) -> dict[str, object]:
        """`{"live", "ready", "<part>": {"ok", ...}, ...}`"""
        shown: dict[str, object] = {"live": self.live, "ready": self.ready}
        return shown | {name: {"ok": part.ok, **part.detail} for name, part in self.parts.items()}
