"""Video visits behind links of Carebell's own: what happened in them, and who tried links that are none."""

import logging

from journal.events.base import Event, event
from scheduler.visit_life import VisitEventKind, VisitEventSource, VisitRole, VisitState


@event(logging.INFO, "Nothing to do. `carebell visit show` lists all that happened in a visit.")
class VisitChanged(Event):
    """Something happened in a video visit. `source` says where it is known from: the patient's or the staff's `page`, the `meeting`
    or its `report`, the `feed`, a `command`, or the `clock` alone."""

    environment: str
    appointment: str
    visit_event: VisitEventKind
    visit_role: VisitRole
    visit_state: VisitState | None
    source: VisitEventSource


@event(
    logging.WARNING,
    "Once: somebody opens an old or mistyped link. Many, from many addresses: somebody guesses. A link has 99 random bits, so that "
    "nobody finds one; a limit at the reverse proxy keeps the load away.",
)
class JoinLinkUnknown(Event):
    """Somebody opened a join link that leads to no visit: unknown, revoked or over. The link itself is not logged."""

    peer: str | None
    limit: int | None


@event(logging.INFO, "Nothing to do. `carebell visit show` lists the links of the visit.")
class EhrLaunched(Event):
    """An EHR launched somebody who is signed in there, and they got a link of their own for this visit. `who` is a keyed hash: the
    same person has the same one."""

    environment: str
    appointment: str
    visit_role: VisitRole
    who: str


@event(
    logging.WARNING,
    "What to do for each code stands in docs/how-to/launch.md. Most mean that the launch URL, context token or client id in "
    "the EHR is another one than in the integration records; `sign_in`: `reason` has the code of what the EHR's server did wrong.",
)
class EhrLaunchRefused(Event):
    """Somebody came to a launch address of this environment and got no further: `code` says why. Nothing that they brought is
    logged."""

    environment: str
    reader: str
    code: str
    reason: str | None
    peer: str | None


@event(
    logging.ERROR,
    "Look at `visits.meeting` and `visits.allowed_hosts` of the environment. A patient who waits is told so. "
    "`token_…`: the account or its secret. `api_…`: the service did not do it.",
)
class MeetingUnavailable(Event):
    """There is no meeting for somebody who was let in, or none could be made ahead of a visit: `code` says why."""

    environment: str
    appointment: str
    code: str


@event(
    logging.WARNING,
    "Look whether the app may read reports. Without one the visit keeps the times by the meeting's own events.",
)
class MeetingReportUnread(Event):
    """A meeting's report could not be read: `code` says why. It is asked for again every minute until the visit's link ends."""

    environment: str
    appointment: str
    code: str


@event(logging.INFO, "Nothing to do. Where something failed, somebody may call the patient before the visit.")
class DeviceTested(Event):
    """A patient tested their device before or while waiting for a video visit."""

    environment: str
    appointment: str
    device_test: str
    browser: str | None


@event(
    logging.ERROR,
    "`join.public_url` must be https, and the reverse proxy must not remove the header Permissions-Policy: otherwise browsers give "
    "no camera to anybody.",
)
class DeviceTestInsecure(Event):
    """A patient's browser says that the test's page may not ask for camera or microphone at all."""

    environment: str
    browser: str | None
