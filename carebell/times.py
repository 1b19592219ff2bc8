"""Times as they are shown: for people in the clinic's zone, which is named; for programs in UTC."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from config.load import Loaded


def iso(instant: datetime | None) -> str | None:
    """`2026-03-02T15:04:00Z`; None stays None."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Zones:
    """Environment -> configured zone. An environment that is no longer in the configuration is shown in UTC."""

    def __init__(self, loaded: Loaded) -> None:
        self._known = {name: settings.time_zone for name, settings in loaded.configuration.environments.items()}

    def of(self, environment: str | None) -> str:
        """The zone's name. Without an environment: the zone that all environments share, otherwise UTC."""
        if environment is None:
            shared = set(self._known.values())
            return shared.pop() if len(shared) == 1 else "UTC"
        return self._known.get(environment, "UTC")

    def clock(self, instant: datetime | None, environment: str | None = None) -> str:
        """`2026-03-02 08:00`; `-` for none."""
        return "-" if instant is None else f"{self._local(instant, environment):%Y-%m-%d %H:%M}"

    def second(self, instant: datetime, environment: str | None = None) -> str:
        """`2026-03-02 08:00:00`."""
        return f"{self._local(instant, environment):%Y-%m-%d %H:%M:%S}"

    def sentence(self, environments: Collection[str | None]) -> str:
        """A sentence that names the zones of these environments' rows. None means rows that belong to no environment."""
        zones = {self.of(name) for name in environments} or {self.of(None)}
        if len(zones) == 1:
            return f"Times in {zones.pop()}."
        named = [f"{name} {self.of(name)}" for name in sorted(name for name in environments if name is not None)]
        remainder = [f"all else {self.of(None)}"] if None in environments else []
        return f"Times in each environment's zone: {', '.join(named + remainder)}."

    def _local(self, instant: datetime, environment: str | None) -> datetime:
        return instant.astimezone(ZoneInfo(self.of(environment)))
