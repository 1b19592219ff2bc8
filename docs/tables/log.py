"""The page about log lines."""

from __future__ import annotations

from journal.reference import alarms_table, events_table, fields_table


def log_events() -> str:
    return f"""# Log events

Every line of the log has one of these names in `event`, beside `time` (UTC) and `level`. WARNING: look at it today. ERROR:
something was not done. CRITICAL: a person is needed now. Names and fields are a contract: dashboards may rely on them. A field
that has no value is left out of its line. A field that is not listed for an event cannot be logged, and nothing of a patient has a
field. The last column names the [alarms](alarms.md) that an event belongs to.

{events_table()}
## Fields

A field whose third column is not empty has one of these words and no other.

{fields_table()}"""


def alarms() -> str:
    return f"""# Alarms

An alarm is raised when something needs a person, and cleared when it is over. Each has one log line for each ([`alarm_raised`
and `alarm_cleared`](log-events.md)), is counted in the metric `carebell_alarms` while it is raised, and is shown by `carebell
status`. A critical alarm that lasts is logged again each hour, a warning each day. A condition must be gone for two minutes
before its alarm is cleared. A restart raises nothing again.

The limits are keys of [`carebell.yaml`](configuration.md#alarms); null switches an alarm off. Alarms about a single text have a
line and are counted in `carebell_alarms_raised_total`, but they are no state and are never cleared.

{alarms_table()}"""
