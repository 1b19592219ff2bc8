"""The page about metrics, made from the registry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from prometheus_client.metrics import MetricWrapperBase

from docs.tables.markdown import code, codes, table
from journal.metrics import Metrics

UNITS: Final[Mapping[str, str]] = {
    "carebell_messages_total": "messages",
    "carebell_ack_seconds": "seconds",
    "carebell_last_message_timestamp_seconds": "seconds since 1970",
    "carebell_parse_warnings_total": "warnings",
    "carebell_doubtful_orders_total": "messages",
    "carebell_id_changes_total": "messages",
    "carebell_join_links_unknown_total": "links",
    "carebell_meetings_unavailable_total": "times",
    "carebell_commit_batch_messages": "messages",
    "carebell_fsync_seconds": "seconds",
    "carebell_sms_total": "texts",
    "carebell_sms_segments_total": "segments",
    "carebell_sms_late_seconds": "seconds",
    "carebell_gateway_seconds": "seconds",
    "carebell_outbox_texts": "texts",
    "carebell_lag_seconds": "seconds",
    "carebell_overdue_texts": "texts",
    "carebell_retrying_texts": "texts",
    "carebell_gateway_failures": "texts",
    "carebell_gateway_answered_timestamp_seconds": "seconds since 1970",
    "carebell_connections": "connections",
    "carebell_connections_refused_total": "connections",
    "carebell_certificate_days_left": "days",
    "carebell_certificate_expiry_timestamp_seconds": "seconds since 1970",
    "carebell_breaker_open": "0 or 1",
    "carebell_opt_outs_total": "opt-outs",
    "carebell_replies_total": "texts",
    "carebell_webhooks_refused_total": "calls",
    "carebell_writeback_waiting_messages": "messages",
    "carebell_writeback_lag_seconds": "seconds",
    "carebell_writebacks_total": "messages",
    "carebell_phones_forgotten_total": "numbers",
    "carebell_configuration_refused_total": "changes",
    "carebell_background_task_restarts_total": "restarts",
    "carebell_alarms": "alarms",
    "carebell_alarms_raised_total": "alarms",
    "carebell_log_fields_dropped_total": "fields",
    "carebell_log_lines_lost_total": "lines",
}
"""Metric, as Prometheus shows it -> what is counted or measured."""


def instruments() -> dict[str, MetricWrapperBase]:
    """Every registered metric by its name, in the order of the registry; a counter with its `_total`."""
    declared = [own for own in vars(Metrics()).values() if isinstance(own, MetricWrapperBase)]
    return {_name(instrument): instrument for instrument in declared}


def labels_of(instrument: MetricWrapperBase) -> tuple[str, ...]:
    """The names of its labels."""
    return tuple(instrument._labelnames)


def _name(instrument: MetricWrapperBase) -> str:
    [family] = instrument.describe()
    return f"{family.name}_total" if family.type == "counter" else family.name


def metrics() -> str:
    rows = []
    for name, instrument in instruments().items():
        [family] = instrument.describe()
        rows.append((code(name), family.type, UNITS[name], codes(labels_of(instrument)), family.documentation))
    return f"""# Metrics

`GET /metrics` on the [HTTP port](configuration.md#http) gives these in Prometheus's text format. A histogram has the series
`_bucket`, `_sum` and `_count`. With several workers the figures are those of all of them. Each of several nodes counts what it
did itself; the figures of the outbox, the gateway, the certificates and the alarms are the same on every node (use `max`, not
`sum`).

Labels hold words of fixed vocabularies only: an `environment` of `carebell.yaml` (empty: not known), a `code` of
[answers](answers.md), a `reason` of [reasons](reasons.md) or [gateway codes](gateway-codes.md), an `alarm` of
[alarms](alarms.md). None holds anything of a patient. [Monitor it](../how-to/monitor.md) has alert rules and a dashboard made of
these.

{table(["metric", "type", "unit", "labels", "meaning"], rows)}"""
