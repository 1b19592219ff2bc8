"""What workers counted is added to the supervisor's metrics, and never goes back when a worker ends."""

from __future__ import annotations

from collections.abc import Iterator

from journal.metric_changes import MetricChanges
from journal.metrics import Metrics


def _values(metrics: Metrics, *names: str) -> Iterator[str]:
    for line in metrics.render().decode().splitlines():
        if line.startswith(names) and not line.endswith(" 0.0"):
            yield line


def test_counters_and_histograms_are_summed_and_the_latest_time_counts() -> None:
    supervisor, workers = Metrics(), [Metrics(), Metrics()]
    reports = [MetricChanges(worker.registry) for worker in workers]
    for number, worker in enumerate(workers):
        worker.messages.labels("test", "AA", "").inc(number + 1)
        worker.ack_seconds.labels("test").observe(0.2)
        worker.commit_batch_messages.observe(30)
        worker.log_lines_lost.inc()
        worker.last_message_timestamp_seconds.labels("test").set(1000 - number)
    supervisor.log_lines_lost.inc()
    supervisor.commit_batch_messages.observe(30)
    for _ in range(2):  # the second report tells nothing new
        for report in reports:
            supervisor.sums.add(report.take())
    assert set(
        _values(
            supervisor,
            "carebell_messages_total",
            "carebell_ack_seconds_count",
            "carebell_ack_seconds_sum",
            'carebell_ack_seconds_bucket{environment="test",le="0.25"}',
            'carebell_ack_seconds_bucket{environment="test",le="0.1"}',
            "carebell_commit_batch_messages_count",
            "carebell_log_lines_lost_total",
            "carebell_last_message_timestamp_seconds",
        )
    ) == {
        'carebell_messages_total{answer="AA",code="",environment="test"} 3.0',
        'carebell_ack_seconds_count{environment="test"} 2.0',
        'carebell_ack_seconds_sum{environment="test"} 0.4',
        'carebell_ack_seconds_bucket{environment="test",le="0.25"} 2.0',
        "carebell_commit_batch_messages_count 3.0",
        "carebell_log_lines_lost_total 3.0",
        'carebell_last_message_timestamp_seconds{environment="test"} 1000.0',
    }


def test_a_worker_that_is_started_again_begins_anew() -> None:
    supervisor = Metrics()
    for _ in range(2):
        worker = Metrics()
        worker.messages.labels("test", "AA", "").inc()
        supervisor.sums.add(MetricChanges(worker.registry).take())
    assert list(_values(supervisor, "carebell_messages_total")) == [
        'carebell_messages_total{answer="AA",code="",environment="test"} 2.0'
    ]
