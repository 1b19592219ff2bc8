"""Metrics of several processes as one: each worker says what changed, and the supervisor adds it to its own.

A counter and a histogram's buckets are summed, and never go back when a worker ends. A gauge has no sum; the only one that workers
set is the time of the last message, and of that the latest counts. prometheus-client's own way for several processes was not taken
(docs/decisions/0015): it replaces every value of the process by one in a file, before anything is imported, and leaves those files
behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.metrics_core import Metric

Labels = tuple[tuple[str, str], ...]
LATEST: Final = frozenset({"carebell_last_message_timestamp_seconds"})
"""Gauges of which the highest value of all processes counts."""


class MetricChange(NamedTuple):
    """One sample that changed. `value`: of a gauge the value, of anything else the difference."""

    family: str
    kind: str
    sample: str
    labels: Labels
    value: float


class MetricChanges:
    """A worker's side."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._before: dict[tuple[str, Labels], float] = {}

    def take(self) -> tuple[MetricChange, ...]:
        """What changed since the last call."""
        changes = []
        for family in self._registry.collect():
            for sample in family.samples:
                if sample.name.endswith("_created"):
                    continue
                labels = tuple(sample.labels.items())
                before = self._before.get((sample.name, labels), 0.0)
                if sample.value == before:
                    continue
                self._before[sample.name, labels] = sample.value
                value = sample.value if family.type == "gauge" else sample.value - before
                changes.append(MetricChange(family.name, family.type, sample.name, labels, value))
        return tuple(changes)


class MetricSums:
    """The supervisor's side: its own metrics, with what the workers said.

    Args:
        own: the metrics that may be in a change.
    """

    def __init__(self, registry: CollectorRegistry, own: Iterable[Counter | Gauge]) -> None:
        self._registry = registry
        self._own = {metric.name: instrument for instrument in own for metric in instrument.collect()}
        self._latest: dict[tuple[str, Labels], float] = {}
        self._histograms: defaultdict[tuple[str, Labels], float] = defaultdict(float)
        self._families: set[str] = set()

    def add(self, changes: Iterable[MetricChange]) -> None:
        """Add what one worker said."""
        for change in changes:
            if change.kind == "histogram":
                self._families.add(change.family)
                self._histograms[change.sample, change.labels] += change.value
                continue
            instrument = self._own.get(change.family)
            if instrument is None:
                continue
            child = instrument.labels(**dict(change.labels)) if change.labels else instrument
            if isinstance(child, Counter):
                child.inc(change.value)
            elif change.family in LATEST and change.value > self._latest.get((change.sample, change.labels), 0.0):
                self._latest[change.sample, change.labels] = change.value
                child.set(change.value)

    def collect(self) -> Iterator[Metric]:
        """Every metric family, as a registry gives them."""
        for family in self._registry.collect():
            yield self._summed(family) if family.name in self._families else family

    def _summed(self, family: Metric) -> Metric:
        values = {(sample.name, tuple(sample.labels.items())): sample.value for sample in family.samples}
        names = {sample.name for sample in family.samples} | {
            f"{family.name}{end}" for end in ("_bucket", "_count", "_sum")
        }
        for (name, labels), value in self._histograms.items():
            if name in names:
                values[name, labels] = values.get((name, labels), 0.0) + value
        summed = Metric(family.name, family.documentation, family.type, family.unit)
        for (name, labels), value in values.items():
            summed.add_sample(name, dict(labels), value)
        return summed
