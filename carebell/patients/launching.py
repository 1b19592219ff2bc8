"""Launches from the EHR: who is launched gets a link of their own for the visit. Implements `portal.join.launch.LaunchDesk`.

The visit is looked for only when the EHR's server has said who sits there and what it is about; until then nothing depends on it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from carebell.bootstrap.ehr_fetching import Kind
from carebell.outbound.visit_recording import VisitRecorder
from config.files import meeting_secrets
from config.load import Loaded
from config.model import Environment
from ehr.launch import (
    LaunchCode,
    Launched,
    LaunchFault,
    Reader,
    begin_launch,
    finish_launch,
    launch_word,
    other_environment,
)
from journal.events.visits import EhrLaunched
from oauth.code_flow import LIFETIME, ClientRegistration, PendingSignIn
from oauth.faults import OAuthFault
from oauth.fetcher import Fetcher
from portal.join.launch import LaunchArrival, LaunchParameters, LaunchRefusal, ToSignIn
from scheduler.visit_life import VisitRole
from store import conferences, throttles, visit_links, visits
from store.carried import carry, opened
from store.conferences import Conference
from store.engine import Store, Transaction
from store.outbox import ids_of
from store.throttles import ThrottleScope
from store.vault import Vault
from store.visits import VideoVisit

LINK_LASTS: Final = timedelta(hours=12)
"""A launched person's link, if the visit's window does not end it before: the next launch gives another."""
_HASH_SHOWN: Final = 12
_NOT_CONFIGURED: Final = (
    "This environment takes no launches: `visits.launch` and `fhir_base_url` are not set for it in the configuration. "
    "Whoever runs Carebell can tell."
)
_NOT_STARTED: Final = (
    "This answer belongs to no launch that began in this browser in the last ten minutes. Open the visit again from "
    "the EHR, and let the browser keep cookies of this site."
)
_REPLAYED: Final = "This answer was used already. Open the visit again from the EHR."
_NO_SESSION: Final = (
    "The EHR did not say which visit this is: its answer has no `sessionId`. Enter the context token of the integration "
    "record in the EHR, and start the launch from a visit."
)
_UNKNOWN_VISIT: Final = (
    "The EHR named a visit, or a group of visits, that Carebell does not know, or one that is over or no video visit. Has the "
    "appointment's message arrived, and is the id in the context token one that the message carries?"
)
_NO_SUCH_ENVIRONMENT: Final = (
    "The context token in the EHR names an environment (`env`) that there is not. Enter that of the integration record."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Meant:
    """What a context names: a visit, or a group alone, of several days the one that is open."""

    visit: VideoVisit | None
    group: Conference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Launching:
    """Attributes:
    loaded: the configuration in force.
    fetcher: the guarded way to the FHIR server of an environment of this kind.
    public_url: of the patients' pages; the EHR sends people back there.
    """

    store: Store
    vault: Vault
    loaded: Callable[[], Loaded]
    recorder: VisitRecorder
    fetcher: Callable[[Loaded, Kind], Fetcher]
    public_url: str
    now: Callable[[], datetime]

    def begin(
        self, environment: str, reader: Reader, parameters: LaunchParameters
    ) -> ToSignIn | LaunchRefusal | None:  # fmt: skip
        section = self._section(environment)
        if section is None:
            return None
        client = self._client(environment, section, reader)
        if client is None:
            return _refusal(reader, LaunchCode.NOT_CONFIGURED, _NOT_CONFIGURED)
        base_url = section.fhir_base_url or ""
        try:
            word = launch_word(parameters, base_url, self._others(environment), environment=environment)
            started = begin_launch(self._fetcher(section), base_url, client, word, now=self.now())
        except (LaunchFault, OAuthFault) as fault:
            return _refused(reader, fault)
        carried = json.dumps({"reader": reader, "pending": started.pending.to_json()})
        return ToSignIn(url=started.url, carried=carry(self.vault.ring, _purpose(environment), carried))

    def finish(
        self, environment: str, parameters: LaunchParameters, carried: str
    ) -> LaunchArrival | LaunchRefusal | None:
        section = self._section(environment)
        if section is None:
            return None
        kept = opened(self.vault.ring, _purpose(environment), carried)
        if kept is None:
            return _refusal("unknown", LaunchCode.NOT_STARTED, _NOT_STARTED)
        flow = json.loads(kept)
        reader: Reader = flow["reader"]
        pending = PendingSignIn.from_json(flow["pending"])
        client = self._client(environment, section, reader)
        if client is None:
            return _refusal(reader, LaunchCode.NOT_CONFIGURED, _NOT_CONFIGURED)
        if not self._first_use(pending):  # before anything else: an answer counts once
            return _refusal(reader, LaunchCode.REPLAYED, _REPLAYED)
        ring = self.vault.ring
        try:
            launched = finish_launch(
                self._fetcher(section), section.fhir_base_url or "", client, pending, parameters, reader,
                subject_hash=lambda text: ring.proof_key("launch", text).hex(), now=self.now(),
            )  # fmt: skip
        except (LaunchFault, OAuthFault) as fault:
            return _refused(reader, fault)
        if launched.environment not in (None, environment):
            known = launched.environment in self.loaded().configuration.environments
            sentence = other_environment(environment, launched.environment or "") if known else _NO_SUCH_ENVIRONMENT
            return _refusal(reader, LaunchCode.OTHER_ENVIRONMENT, sentence)
        if launched.test:
            return LaunchArrival(path="/test")
        session = launched.session or launched.appointment  # of a visit in no group an EHR may know no conference
        if session is None:
            return _refusal(reader, LaunchCode.NO_SESSION, _NO_SESSION)
        if reader == "patient" and section.visits.launch.group_visits and launched.appointment is None:
            # The id may be that of a group which no message has named yet, though an appointment has the same.
            return _refusal(reader, LaunchCode.CONFERENCE_ALONE, _UNKNOWN_VISIT, hidden=True)
        return self._arrived(environment, reader, launched, session)

    def _arrived(
        self, environment: str, reader: Reader, launched: Launched, session: str
    ) -> LaunchArrival | LaunchRefusal:
        now = self.now()
        with self.store.write() as conn:
            meant = self._meant(conn, environment, session, launched.appointment, now)
            if meant is None or (reader == "patient" and meant.visit is None):
                # A patient learns nothing: the same page as for a link that leads nowhere. Nobody guesses which of a group it is.
                code = LaunchCode.UNKNOWN_VISIT if meant is None else LaunchCode.CONFERENCE_ALONE
                return _refusal(reader, code, _UNKNOWN_VISIT, hidden=reader == "patient")
            together = [] if meant.visit is None else [meant.visit]
            if meant.group is not None:
                together = conferences.going_on(conn, meant.group.id, now)
            locked = self.recorder.begin_all(conn, [visit.id for visit in together])
            visit = next((locked[visit.id] for visit in together if visit.id in locked), None)
            if visit is None:
                return _refusal(reader, LaunchCode.UNKNOWN_VISIT, _UNKNOWN_VISIT, hidden=reader == "patient")
            if reader == "provider" and launched.department is not None:
                for concerned in locked.values():
                    visits.set_department(conn, concerned, launched.department)
            token = self._link(conn, visit, VisitRole(reader), now, meant.group)
        self.recorder.journal.emit(
            EhrLaunched(
                environment=environment,
                appointment=visit.reference,
                visit_role=VisitRole(reader),
                who=launched.subject_hash[:_HASH_SHOWN],
            )
        )
        return LaunchArrival(path=f"/j/{token}")

    def _meant(
        self, conn: Transaction, environment: str, session: str, appointment: str | None, now: datetime
    ) -> _Meant | None:
        """What a context names; None: nothing that there is any more, or it is not clear what.

        Args:
            session: an appointment's id or a conference's. If both have it, and they are of one group, it names the group: an EHR
                may call a group after one of its appointments, and that patient is not everybody, also when its visits are over.
            appointment: the own visit, which a group of that id must not contradict.
        """
        visit = self._visit(conn, environment, session, now)
        named = conferences.named(conn, environment, session, now)
        ids = [group.id for group in named]
        if appointment is not None:
            own = self._visit(conn, environment, appointment, now)
            contradicted = own is not None and bool(ids) and own.conference not in ids
            if own is None or (contradicted and (visit is None or visit.id != own.id)):
                return None
            return _Meant(visit=own, group=None)
        if not named:
            return None if visit is None else _Meant(visit=visit, group=None)
        if visit is not None and visit.conference not in ids:
            return None
        groups = [group for group in named if conferences.going_on(conn, group.id, now)]
        of_now = [group for group in groups if group.window.opens_at <= now] or groups
        return _Meant(visit=None, group=of_now[0]) if len(of_now) == 1 else None

    def _visit(self, conn: Transaction, environment: str, name: str, now: datetime) -> VideoVisit | None:
        """The one visit of an appointment with this id; None: there is none any more, or there are several."""
        meant = [
            visit
            for visit in visits.of_appointments(conn, ids_of(conn, name, environment=environment))
            if visit.window.ends_at > now
        ]
        return meant[0] if len(meant) == 1 else None

    def _link(
        self, conn: Transaction, visit: VideoVisit, role: VisitRole, now: datetime, group: Conference | None
    ) -> str:
        """A patient's own link, which the texts name, if there is one; else one of this launch alone, or of the whole group."""
        if role is VisitRole.PATIENT:
            own = visit_links.tokens(conn, self.vault, [visit.appointment], now).get(visit.appointment)
            if own is not None:
                return own
        return visit_links.new_link(conn, self.vault, visit, role, now, lasts=LINK_LASTS, conference=group)

    def _first_use(self, pending: PendingSignIn) -> bool:
        key = self.vault.ring.throttle_key(ThrottleScope.LAUNCH, pending.state)
        with self.store.write() as conn:
            return throttles.fail(conn, ThrottleScope.LAUNCH, key, now=self.now(), keep=2 * LIFETIME) == 1

    def _section(self, environment: str) -> Environment | None:
        configuration = self.loaded().configuration
        section = configuration.environments.get(environment)
        if section is None or not section.enabled or not configuration.join.enabled or section.visits.join != "ours":
            return None
        return section

    def _client(self, environment: str, section: Environment, reader: Reader) -> ClientRegistration | None:
        launch = section.visits.launch
        if launch.client_id is None or section.fhir_base_url is None or (reader == "patient" and not launch.patients):
            return None
        secrets = meeting_secrets(launch.client_secret_file)
        return ClientRegistration(
            client_id=launch.client_id,
            redirect_uri=f"{self.public_url}/ehr/{quote(environment, safe='')}/callback",
            client_secret=secrets[0].decode("ascii") if secrets else None,
        )

    def _others(self, environment: str) -> Mapping[str, str]:
        environments = self.loaded().configuration.environments.items()
        return {
            name: other.fhir_base_url
            for name, other in environments
            if name != environment and other.fhir_base_url is not None
        }

    def _fetcher(self, section: Environment) -> Fetcher:
        return self.fetcher(self.loaded(), section.kind)


def _purpose(environment: str) -> str:
    return f"launch {environment}"


def _refused(reader: Reader, fault: LaunchFault | OAuthFault) -> LaunchRefusal:
    if isinstance(fault, LaunchFault):
        return _refusal(reader, fault.code, fault.sentence)
    reason = "sso_extra_missing" if fault.code is None else str(fault.code)
    return _refusal(reader, LaunchCode.SIGN_IN, fault.sentence, reason=reason)


def _refusal(
    reader: str, code: LaunchCode, sentence: str, *, reason: str | None = None, hidden: bool = False
) -> LaunchRefusal:
    return LaunchRefusal(reader=reader, code=code.value, sentence=sentence, reason=reason, hidden=hidden)
