"""The pages that an EHR launches and those of providers' links, for a running service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from carebell.bootstrap.ehr_fetching import fetcher_for
from carebell.bootstrap.running_service import RunningService
from carebell.bootstrap.visit_recorder import recorder_of
from carebell.patients.launching import Launching
from journal.events.visits import EhrLaunchRefused
from listener.connection_register import source_of
from portal.join.launch import LaunchPages, LaunchRefusal
from portal.join.rendering import JoinRenderer
from portal.origin import Network

THREADS = 3
"""They wait for EHRs' servers; patients' pages have others."""


def launch_pages(
    running: RunningService,
    renderer: JoinRenderer,
    *,
    public_url: str,
    threads: Executor,
    trusted_proxies: Callable[[], Sequence[Network]],
    report: Callable[[Exception], None],
) -> LaunchPages:
    """What `/ehr/…` answers."""

    def refused(environment: str, refusal: LaunchRefusal, peer: str | None) -> None:
        # The address may name an environment that there is not; what a stranger wrote is not logged.
        known = environment in running.loaded().configuration.environments
        running.repeats.emit(
            EhrLaunchRefused(
                environment=environment if known else "unknown",
                reader=refusal.reader,
                code=refusal.code,
                reason=refusal.reason,
                peer=peer,
            ),
            reason=refusal.code,
            source=source_of(peer or ""),
        )

    desk = Launching(
        store=running.store,
        vault=running.vault,
        loaded=running.loaded,
        recorder=recorder_of(running),
        fetcher=fetcher_for,
        public_url=public_url,
        now=running.clock.now,
    )
    return LaunchPages(
        desk=desk,
        renderer=renderer,
        public_url=public_url,
        threads=threads,
        trusted_proxies=trusted_proxies,
        refused=refused,
        report=report,
    )
