"""Where meetings' servers say who comes and goes, by the configuration in force."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from starlette.routing import Route

from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.visit_recorder import meeting_recorder_of
from carebell.outbound.meeting_kinds import webhook_of
from meetings.port import MeetingEvent
from meetings.webhook import MeetingWebhook
from portal.meeting_webhooks import meeting_route
from portal.webhooks import Report


def meeting_webhooks(running: RunningService, report: Report) -> Route:
    """The route at the HTTP port."""
    meetings = meeting_recorder_of(running)

    def look(environment: str) -> MeetingWebhook | None:
        policy = running.runtime_config().policies.get(environment)
        return None if policy is None or policy.join_url is None else webhook_of(policy.environment.visits.meeting)

    async def webhook(environment: str) -> MeetingWebhook | None:
        return await asyncio.to_thread(look, environment)

    async def take(environment: str, events: Sequence[MeetingEvent]) -> None:
        await asyncio.to_thread(meetings.take, environment, events)

    return meeting_route(webhook, take, running.clock.now, report)
