"""What every figure is measured with: the extent, the signed messages, a place for files, and a word about what is under way."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from itertools import count
from pathlib import Path

from benchmarks.editions import BASELINE, Editions
from benchmarks.extent import Extent
from benchmarks.intake import Sample, sample
from benchmarks.messages import Messages, make_messages
from benchmarks.servers import CAREBELL
from simulator.ehr import make_identity


class Bench:
    """One run's means.

    Args:
        place: an empty folder, removed after the run.
        say: shows what is under way.
        baseline: the commit that Carebell is held against.
    """

    def __init__(self, extent: Extent, place: Path, say: Callable[[str], None], *, baseline: str = BASELINE) -> None:
        self.extent = extent
        self.editions = Editions(place, baseline)
        self.say = say
        self._place = place
        self._folders = count()

    @property
    def judged(self) -> bool:
        """Not the short form: what is measured is as large as the target asks for."""
        return self.extent.judged

    @property
    def size(self) -> int:
        """Bytes of a message on average; 0: none was asked for."""
        return self.messages.size if "messages" in self.__dict__ else 0

    @cached_property
    def certificate(self) -> bytes:
        """A sender's, for a configuration whose service gets no messages."""
        return make_identity("Nobody", now=datetime.now(UTC), bits=2048).certificate

    @cached_property
    def messages(self) -> Messages:
        """Signed when they are first asked for."""
        self.say(f"signing {self.extent.messages:,} messages")
        return make_messages(self.folder(), self.extent.messages)

    def folder(self) -> Path:
        """A new one."""
        folder = self._place / f"{next(self._folders)}"
        folder.mkdir()
        return folder

    def carebell(
        self, connections: int, *, rate: float | None = None, workers: int | None = None, **variables: str
    ) -> list[Sample]:
        """Every round of the service as shipped, or with `benchmarks.variants` changed; SystemExit where its counts disagree.

        Args:
            workers: one where something is changed: a worker that is a process of its own knows nothing of the change.
        """
        shown = " ".join(f"{name}={value}" for name, value in variables.items())
        self.say(f"carebell serve, {connections} connections {f'at {rate:.0f}/s ' if rate else ''}{shown}")
        server = CAREBELL if workers is None else self.editions.pure.server(workers)
        samples = [
            sample(
                server,
                self.messages,
                connections=connections,
                seconds=self.extent.seconds,
                rate=rate,
                variables=variables,
            )
            for _ in range(self.extent.rounds)
        ]
        for measurement in samples:
            agree(measurement)
        return samples


def agree(measurement: Sample) -> None:
    """Every message is answered, and answered AA: else the figures are of something else."""
    if measurement.lost or measurement.accepted != measurement.answered or not measurement.answered:
        raise SystemExit(
            f"benchmark: {measurement.answered} answered, {measurement.accepted} accepted, {measurement.lost} lost: counts disagree"
        )


def middle_rate(samples: Sequence[Sample]) -> float:
    """Messages a second, of the median round."""
    return statistics.median(measurement.rate for measurement in samples)
