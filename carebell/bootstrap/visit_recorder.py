"""The one way in which a running service records what happens in video visits."""

from __future__ import annotations

from carebell.bootstrap.running_service import RunningService
from carebell.ids import ControlIds
from carebell.outbound.visit_recording import VisitRecorder


def recorder_of(running: RunningService) -> VisitRecorder:
    return VisitRecorder(runtime_config=running.runtime_config, control_ids=ControlIds(), journal=running.journal)
