"""The page about log lines."""

from __future__ import annotations

from journal.reference import events_table, fields_table


def log_events() -> str:
    return f"""# Log events

Every line of the log has one of these names in `event`, beside `time` (UTC) and `level`. WARNING: look at it today. ERROR:
something was not done. CRITICAL: a person is needed now. Names and fields are a contract: dashboards may rely on them. A field
that has no value is left out of its line. A field that is not listed for an event cannot be logged, and nothing of a patient has a
field.

{events_table()}
## Fields

A field whose third column is not empty has one of these words and no other.

{fields_table()}"""
