"""Metrics: own registry, units in names, bounded labels."""

from __future__ import annotations

import re

from prometheus_client import REGISTRY

from journal.metrics import Metrics

UNITS = (
    "seconds",
    "failures",
    "bytes",
    "messages",
    "texts",
    "segments",
    "connections",
    "days_left",
    "sms",
    "open",
    "total",
    "alarms",
)
FORBIDDEN = {"appointment", "control_id", "phone", "to", "peer", "sid", "message"}


def test_two_sets_of_metrics_do_not_share_values() -> None:
    used, unused = Metrics(), Metrics()
    used.messages.labels("test", "AA", "").inc()

    assert (
        used.registry.get_sample_value("carebell_messages_total", {"environment": "test", "answer": "AA", "code": ""})
        == 1
    )
    assert b'carebell_messages_total{answer="AA"' not in unused.render()
    assert [metric.name for metric in REGISTRY.collect() if metric.name.startswith("carebell")] == []


def test_names_help_and_labels() -> None:
    for metric in Metrics().registry.collect():
        assert re.fullmatch(r"carebell_[a-z_]+", metric.name)
        assert metric.documentation.endswith(".")
        assert metric.type != "counter" or metric.unit == ""
        assert metric.type not in ("gauge", "histogram") or metric.name.endswith(UNITS)


def test_what_is_rendered_holds_every_kind() -> None:
    metrics = Metrics()
    metrics.ack_seconds.labels("test").observe(0.004)
    metrics.commit_batch_messages.observe(12)
    metrics.fsync_seconds.observe(0.0002)
    metrics.sms.labels("test", "reminder", "suppressed", "late_booking").inc()
    metrics.outbox_texts.labels("planned").set(7)
    metrics.lag_seconds.set(1.5)
    metrics.connections.labels("127.0.0.1:2575").inc()
    metrics.certificate_days_left.labels("test", "abcdefgh").set(-1)
    metrics.last_message_timestamp_seconds.labels("test").set(1_773_082_800)
    metrics.log_fields_dropped.inc()
    assert metrics.dropped_fields() == 1

    text = metrics.render().decode()

    for expected in (
        'carebell_ack_seconds_bucket{environment="test",le="0.005"} 1.0',
        'carebell_commit_batch_messages_bucket{le="20.0"} 1.0',
        'carebell_fsync_seconds_bucket{le="0.00025"} 1.0',
        'carebell_sms_total{environment="test",kind="reminder",reason="late_booking",state="suppressed"} 1.0',
        'carebell_outbox_texts{state="planned"} 7.0',
        "carebell_lag_seconds 1.5",
        'carebell_connections{listener="127.0.0.1:2575"} 1.0',
        'carebell_certificate_days_left{environment="test",thumbprint="abcdefgh"} -1.0',
        'carebell_last_message_timestamp_seconds{environment="test"} 1.7730828e+09',
        "carebell_log_fields_dropped_total 1.0",
    ):
        assert expected in text.splitlines()
    assert not FORBIDDEN & set(re.findall(r'[{,](\w+)="', text))
