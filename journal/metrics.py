"""Every metric, in a separate registry. The names contain the units (https://prometheus.io/docs/practices/naming/).

Labels hold only words of fixed vocabularies (environment names, codes, kinds, states, reasons): never an id, never patient
data, and never an unlimited number of values.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from journal.metric_changes import MetricSums

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ACK_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
"""From one commit on a fast disk (1 ms) over the target at 500 connections (150 ms) to a sender's usual time-out (10 s)."""
_FSYNC_SECONDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0)
_BATCH: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_LATE_SECONDS: Final = (1, 2, 5, 10, 30, 60, 300, 900, 3600, 7200)
"""The promises are 2 s when idle and 30 s with 10,000 texts due at once; 7200 s is the default `max_lateness`."""


SIGNATURE_CODES: Final = frozenset(f"SIG0{number}" for number in range(1, 10))
"""The codes of config/answers.yaml for a signature, certificate, sender or age that is wrong."""


class Metrics:
    """The process's metrics. Other rooms get the functions that they need as callables.

    Attributes:
        sums: takes what workers counted.
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._answers: dict[tuple[str, str, str], tuple[Counter, Histogram, Gauge]] = {}
        self.messages = Counter(
            "carebell_messages",
            "Messages answered. `code` is empty for accepted ones; `answer` is `reset` if none was sent.",
            ("environment", "answer", "code"),
            registry=registry,
        )
        self.ack_seconds = Histogram(
            "carebell_ack_seconds",
            "Time from a message's last byte until its answer is written to the socket.",
            ("environment",),
            buckets=_ACK_SECONDS,
            registry=registry,
        )
        self.last_message_timestamp_seconds = Gauge(
            "carebell_last_message_timestamp_seconds",
            "When the last message was accepted, Unix time.",
            ("environment",),
            registry=registry,
        )
        self.parse_warnings = Counter(
            "carebell_parse_warnings",
            "Oddities of messages that did not stop them.",
            ("environment", "code"),
            registry=registry,
        )
        self.doubtful_orders = Counter(
            "carebell_doubtful_orders",
            "Messages that changed something although MSH-7 does not say whether they are newer than the stored values.",
            ("environment",),
            registry=registry,
        )
        self.id_changes = Counter(
            "carebell_id_changes",
            "Reschedules under a new appointment id that share another id with a known visit, which was replaced or kept.",
            ("environment", "result"),
            registry=registry,
        )
        self.join_links_unknown = Counter(
            "carebell_join_links_unknown",
            "Join links that were opened and lead to no visit: unknown, revoked or over.",
            registry=registry,
        )
        self.meetings_unavailable = Counter(
            "carebell_meetings_unavailable",
            "Times that a video visit had no meeting to go to, or that none could be made ahead of it.",
            registry=registry,
        )
        self.commit_batch_messages = Histogram(
            "carebell_commit_batch_messages",
            "Messages stored by one commit.",
            buckets=_BATCH,
            registry=registry,
        )
        self.fsync_seconds = Histogram(
            "carebell_fsync_seconds",
            "Time of one commit, until its data is on the disk.",
            buckets=_FSYNC_SECONDS,
            registry=registry,
        )
        self.sms = Counter(
            "carebell_sms",
            "Texts by outcome; `reason` is the reason why a text was not sent, or the gateway's code.",
            ("environment", "kind", "state", "reason"),
            registry=registry,
        )
        self.sms_segments = Counter(
            "carebell_sms_segments", "Segments that the gateway accepted.", ("environment",), registry=registry
        )
        self.sms_late_seconds = Histogram(
            "carebell_sms_late_seconds",
            "Time from a text's due time until the gateway accepts it.",
            buckets=_LATE_SECONDS,
            registry=registry,
        )
        self.gateway_seconds = Histogram("carebell_gateway_seconds", "The gateway's answering time.", registry=registry)
        self.outbox_texts = Gauge(
            "carebell_outbox_texts", "Texts in the outbox that are not final.", ("state",), registry=registry
        )
        self.lag_seconds = Gauge(
            "carebell_lag_seconds", "How long the oldest due text has been waiting.", registry=registry
        )
        self.overdue_texts = Gauge(
            "carebell_overdue_texts",
            "Texts that should have been sent by now and wait for no intended reason.",
            registry=registry,
        )
        self.retrying_texts = Gauge(
            "carebell_retrying_texts", "Texts that were tried without success and are tried again.", registry=registry
        )
        self.gateway_failures = Gauge(
            "carebell_gateway_failures",
            "Texts in a row that the gateway did not answer; 0 while it answers.",
            registry=registry,
        )
        self.gateway_answered_timestamp_seconds = Gauge(
            "carebell_gateway_answered_timestamp_seconds",
            "When the gateway last answered, Unix time.",
            registry=registry,
        )
        self.connections = Gauge("carebell_connections", "Open MLLP connections.", ("listener",), registry=registry)
        self.connections_refused = Counter(
            "carebell_connections_refused",
            "Connections refused or given up; `listener` is `http` for the HTTP port.",
            ("listener", "reason"),
            registry=registry,
        )
        self.certificate_days_left = Gauge(
            "carebell_certificate_days_left",
            "Days until an active certificate expires; negative after it has expired.",
            ("environment", "thumbprint"),
            registry=registry,
        )
        self.certificate_expiry_timestamp_seconds = Gauge(
            "carebell_certificate_expiry_timestamp_seconds",
            "When an active certificate expires, Unix time.",
            ("environment", "thumbprint"),
            registry=registry,
        )
        self.breaker_open = Gauge(
            "carebell_breaker_open",
            "1 while a breaker stops sending; absent otherwise.",
            ("scope", "name"),
            registry=registry,
        )
        self.opt_outs = Counter("carebell_opt_outs", "Opt-outs recorded.", ("source",), registry=registry)
        self.replies = Counter(
            "carebell_replies",
            "Patients' texts by what they say: stop, stop_in_words, start, help, unclear, confirm, cannot_come, call_me, other.",
            ("intent",),
            registry=registry,
        )
        self.webhooks_refused = Counter(
            "carebell_webhooks_refused", "Callbacks that were not from the gateway.", ("reason",), registry=registry
        )
        self.writebacks_waiting = Gauge(
            "carebell_writeback_waiting_messages",
            "What waits to go back to the EHR.",
            ("environment", "channel"),
            registry=registry,
        )
        self.writeback_lag_seconds = Gauge(
            "carebell_writeback_lag_seconds",
            "How long the oldest of what goes back to the EHR has been waiting.",
            ("environment", "channel"),
            registry=registry,
        )
        self.writebacks = Counter(
            "carebell_writebacks",
            "What went back to the EHR by outcome: acknowledged, refused, expired; `code` is why not.",
            ("environment", "event", "state", "code"),
            registry=registry,
        )
        self.phones_forgotten = Counter("carebell_phones_forgotten", "Numbers deleted.", registry=registry)
        self.configuration_refused = Counter(
            "carebell_configuration_refused", "Changed configurations that were wrong.", registry=registry
        )
        self.background_task_restarts = Counter(
            "carebell_background_task_restarts",
            "How often a background task ended because of a bug and was started again.",
            ("name",),
            registry=registry,
        )
        self.alarms = Gauge(
            "carebell_alarms",
            "Alarms that are raised now, of all nodes.",
            ("alarm", "severity", "environment"),
            registry=registry,
        )
        self.alarms_raised = Counter(
            "carebell_alarms_raised", "How often an alarm was raised.", ("alarm",), registry=registry
        )
        self.log_fields_dropped = Counter(
            "carebell_log_fields_dropped",
            "Fields that were not documented for their event and were not logged; this is a bug.",
            registry=registry,
        )
        self.log_lines_lost = Counter(
            "carebell_log_lines_lost", "Log lines that could not be written.", registry=registry
        )

        self.sums = MetricSums(registry, [own for own in vars(self).values() if isinstance(own, Counter | Gauge)])

    def missing_meetings(self) -> float:
        """Times since the start that a video visit had no meeting."""
        return float(self.meetings_unavailable._value.get())

    def unknown_links(self) -> float:
        """Join links that were opened since the start and lead to no visit."""
        return float(self.join_links_unknown._value.get())

    def signature_failures(self) -> dict[str, float]:
        """Environment -> messages that were refused because of their signature, certificate or age since the start."""
        totals: dict[str, float] = {}
        for metric in self.messages.collect():
            for sample in metric.samples:
                if sample.name.endswith("_total") and sample.labels["code"] in SIGNATURE_CODES:
                    environment = sample.labels["environment"]
                    totals[environment] = totals.get(environment, 0.0) + sample.value
        return totals

    def answered(self, environment: str, answer: str, code: str, seconds: float, received_at: datetime) -> None:
        """Count a message that was processed; `seconds` until its answer."""
        words = (environment, answer, code)
        children = self._answers.get(words)
        if children is None:  # `labels()` takes 3 us
            children = self._answers[words] = (
                self.messages.labels(*words),
                self.ack_seconds.labels(environment),
                self.last_message_timestamp_seconds.labels(environment),
            )
        messages, ack_seconds, last_message = children
        messages.inc()
        ack_seconds.observe(seconds)
        last_message.set(received_at.timestamp())

    def dropped_fields(self) -> int:
        """Fields that were left out of log lines since the start, by this process and its workers."""
        return int(self.registry.get_sample_value("carebell_log_fields_dropped_total") or 0)

    def render(self) -> bytes:
        """All metrics, of this process and of its workers, in Prometheus's text format, `CONTENT_TYPE`."""
        return generate_latest(self.sums)
