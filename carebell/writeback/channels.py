"""All ways to all EHRs that a configuration names."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from carebell.writeback.lines import WritebackTarget
from carebell.writeback.targets import hl7_target
from carebell.writeback.web_targets import epic_status_target, fhir_target
from config.load import Loaded


def targets_of(loaded: Loaded, now: Callable[[], datetime]) -> list[WritebackTarget]:
    """Of all environments that are enabled.

    Args:
        now: aware, UTC.
    """
    targets: list[WritebackTarget | None] = []
    for name, section in loaded.configuration.environments.items():
        if section.enabled:
            targets += [hl7_target(loaded, name), fhir_target(loaded, name, now), epic_status_target(loaded, name, now)]
    return [target for target in targets if target is not None]
