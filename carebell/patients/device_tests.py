"""The device test over the store: its result, what goes back to the EHR, and credentials for a relay. Implements
`portal.join.device_test.DeviceTestDesk`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from carebell.environment_policy import EnvironmentPolicy
from carebell.outbound.visit_recording import VisitRecorder
from config.files import relay_secret
from config.load import Loaded
from journal.events.visits import DeviceTested, DeviceTestInsecure
from meetings.turn import IceServer, ice_servers
from portal.join.browsers import PatientBrowser
from portal.join.device_test import Recorded
from scheduler.device_test import DeviceTest, DeviceTestStep
from scheduler.visit_life import VisitEventKind, VisitEventSource, state_at
from scheduler.writeback import Fact, WritebackEvent, intend
from store import device_tests, visit_links, writebacks
from store.engine import Store, Transaction
from store.vault import Vault
from store.visit_links import VisitLink
from store.visits import VideoVisit

CREDENTIALS_LAST: Final = timedelta(minutes=10)
PER_HOUR: Final = 10
"""Runs of one visit that are stored within an hour: each of them may go back to the EHR."""
_HOUR: Final = timedelta(hours=1)
_INSECURE: Final = "insecure"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTests:
    """Attributes:
    loaded: the configuration in force. now: UTC.
    """

    store: Store
    vault: Vault
    loaded: Callable[[], Loaded]
    recorder: VisitRecorder
    now: Callable[[], datetime]

    def offered(self) -> bool:
        return any(_has_test(policy) for policy in self.recorder.runtime_config().policies.values())

    def servers(self, token: str | None) -> Sequence[IceServer] | None:
        if token is None:
            policies = [policy for policy in self.recorder.runtime_config().policies.values() if _has_test(policy)]
            urls = dict.fromkeys(
                url for policy in policies for url in policy.environment.visits.device_test.ice_servers
            )
            return ice_servers(list(urls), None, self.now())
        now = self.now()
        with self.store.read() as conn:
            opened = visit_links.find(conn, self.vault.ring, token, now)
        policy = None if opened is None else self._policy(opened[0], now)
        if policy is None:
            return None
        secret = relay_secret(self.loaded(), policy.name)
        urls_of = policy.environment.visits.device_test.ice_servers
        return ice_servers(urls_of, None if secret is None else secret.get_secret_value(), now + CREDENTIALS_LAST)

    def record(self, token: str, results: Mapping[DeviceTestStep, str], browser: PatientBrowser) -> Recorded | None:
        now = self.now()
        test = DeviceTest(at=now, results=results, browser=browser.words)
        with self.store.write() as conn:
            opened = visit_links.find(conn, self.vault.ring, token, now)
            if opened is None or self.recorder.begin(conn, opened[0].id) is None:
                return None
            opened = visit_links.find(conn, self.vault.ring, token, now)  # as it is under the lock
            policy = None if opened is None else self._policy(opened[0], now)
            if opened is None or policy is None:
                return None
            visit, link = opened
            if sum(run.at > now - _HOUR for run in device_tests.of_visit(conn, visit.id)) >= PER_HOUR:
                return "too_many"
            device_tests.add(conn, visit.id, test)
            what, page = VisitEventKind.OPENED_TEST, VisitEventSource.PAGE
            event = self.recorder.note(conn, visit, what, at=now, who=link.role, source=page, ref=link.key)
            self._write_back(conn, policy, visit, link, test)
        self.recorder.log([event])
        self._log(visit, test)
        return "stored"

    def _policy(self, visit: VideoVisit, now: datetime) -> EnvironmentPolicy | None:
        """None: the visit is over, or its environment has no device test (any more)."""
        policy = self.recorder.runtime_config().policies.get(visit.environment)
        over = state_at(visit.state, visit.window, now).is_over
        return None if policy is None or over or not _has_test(policy) else policy

    def _write_back(
        self, conn: Transaction, policy: EnvironmentPolicy, visit: VideoVisit, link: VisitLink, test: DeviceTest
    ) -> None:
        facts: dict[str, Fact] = {
            "at": test.at.isoformat(),
            "by": link.role.value,
            "browser": test.browser,
            "steps": {step.value: code for step, code in test.results.items()},
            "visit_code": visit.code,
        }
        intent = intend(
            policy.writeback,
            WritebackEvent.DEVICE_TEST,
            environment=visit.environment,
            appointment=visit.appointment,
            start=visit.start,
            now=test.at,
            facts=facts,
        )
        if intent is not None:
            writebacks.add(conn, intent, ids=self.recorder.control_ids, now=test.at)

    def _log(self, visit: VideoVisit, test: DeviceTest) -> None:
        journal = self.recorder.journal
        journal.emit(
            DeviceTested(
                environment=visit.environment,
                appointment=visit.reference,
                device_test=test.words,
                browser=test.browser,
            )
        )
        if _INSECURE in test.results.values():
            journal.emit(DeviceTestInsecure(environment=visit.environment, browser=test.browser))


def _has_test(policy: EnvironmentPolicy) -> bool:
    return policy.join_url is not None and policy.environment.visits.device_test.enabled
