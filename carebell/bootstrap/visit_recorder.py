"""The one way in which a running service records what happens in video visits."""

from __future__ import annotations

from carebell.bootstrap.running_service import RunningService
from carebell.ids import ControlIds
from carebell.outbound.meeting_recording import MeetingRecorder
from carebell.outbound.visit_recording import VisitRecorder


def recorder_of(running: RunningService) -> VisitRecorder:
    return VisitRecorder(runtime_config=running.runtime_config, control_ids=ControlIds(), journal=running.journal)


def meeting_recorder_of(running: RunningService) -> MeetingRecorder:
    """The same for what meetings say of themselves."""
    return MeetingRecorder(store=running.store, vault=running.vault, recorder=recorder_of(running))
