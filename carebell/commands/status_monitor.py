"""`status --monitor`: one line, performance data, and the exit codes that Nagios, Icinga and their relatives understand.

Source: the Monitoring Plugins Development Guidelines (https://www.monitoring-plugins.org/doc/guidelines.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

from carebell.commands.open_store import opened_to_look
from carebell.commands.output import print_json
from carebell.exits import Stop, TransientStop
from carebell.inquiries.installation_state import state_of
from config.load import Loaded
from config.model import Alarms
from journal.lines import plain
from journal.traces import type_name


class MonitorState(IntEnum):
    """The exit code. UNKNOWN: the installation could not be asked."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


Finding = tuple[MonitorState, str]
"""How bad it is, and one sentence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One value for a monitor's graphs.

    Attributes:
        unit: `s`, `MB`, `c` for a counter, or empty.
        warning, critical: limits in the guidelines' form for ranges, `30:` for "less than 30"; empty: none.
    """

    name: str
    value: float
    unit: str = ""
    warning: str = ""
    critical: str = ""

    def __str__(self) -> str:
        return f"'{self.name}'={self.value:g}{self.unit};{self.warning};{self.critical};".rstrip(";")


def monitor(config: Path | None, *, as_json: bool) -> int:
    """Print the line and return its state. Nothing that goes wrong is raised: a monitor must get an answer."""
    measured: list[Measured] = []
    try:
        with opened_to_look(config) as installation:
            shown = state_of(installation)
            measured = list(_measured(shown, installation.loaded))
        findings = sorted(_findings(shown), key=lambda finding: -finding[0])
        good = _summary(shown)
    except TransientStop as stop:
        findings = [(MonitorState.CRITICAL, _first_line(stop))]
    except Stop as stop:
        findings = [(MonitorState.UNKNOWN, _first_line(stop))]
    except Exception as error:  # a bug must not look like a warning: 1 would be one
        findings = [(MonitorState.UNKNOWN, f"a bug: {type_name(type(error))}; `carebell status` says more")]
    state = max((severity for severity, _ in findings), default=MonitorState.OK)
    problems = [sentence for _, sentence in findings]
    if as_json:
        values = {value.name: value.value for value in measured}
        print_json({"state": state.name, "code": int(state), "problems": problems, "measured": values})
    else:
        words = "; ".join(problems) if problems else good
        performance = f" | {' '.join(map(str, measured))}" if measured else ""
        print(f"CAREBELL {state.name} - {_one_line(words)}{performance}")
    return int(state)


def _findings(shown: dict[str, Any]) -> Iterator[Finding]:
    for alarm in shown["alarms"]:
        yield MonitorState[alarm["severity"].upper()], alarm["problem"]
    if not shown["nodes"]:
        yield MonitorState.CRITICAL, "no service runs: messages get no answer and texts wait"
    else:
        for row in shown["listeners"]:
            if not row["listening"]:
                environments = ", ".join(row["environments"])
                yield MonitorState.CRITICAL, f"nothing listens on {row['listener']} for {environments}"
    if shown["configuration_problem"] is not None:
        yield MonitorState.WARNING, f"carebell.yaml is wrong and not in force: {shown['configuration_problem']}"
    elif any(node["configuration"] not in (None, shown["configuration_on_disk"]) for node in shown["nodes"]):
        yield MonitorState.WARNING, "carebell.yaml is not in force on every node"
    if shown["gateway"]["failures"]:
        failures, reason = shown["gateway"]["failures"], shown["gateway"]["failure"]
        yield MonitorState.WARNING, f"the gateway did not answer {failures} times in a row, the last with {reason}"
    for row in shown["certificates"]:
        if row["verdict"] != "accept" and (row["days_left"] is None or row["days_left"] >= 0):
            name, environment = Path(row["file"]).name, row["environment"]
            yield MonitorState.WARNING, f"the certificate {name} of {environment} cannot be used: {row['reason']}"


def _summary(shown: dict[str, Any]) -> str:
    listeners, queue = len(shown["listeners"]), shown["queue"]
    return f"{listeners} listeners, {queue['waiting']} texts wait, {queue['overdue']} overdue, no alarm"


def _measured(shown: dict[str, Any], loaded: Loaded) -> Iterator[Measured]:
    queue, limits = shown["queue"], loaded.configuration.alarms
    yield Measured(name="waiting", value=queue["waiting"])
    yield Measured(name="overdue", value=queue["overdue"])
    yield Measured(name="retrying", value=queue["retrying"])
    yield Measured(
        name="lag", value=queue["lag_seconds"], unit="s", critical=f"{limits.overdue_after.total_seconds():g}"
    )
    yield Measured(name="unknown", value=queue["on_their_way"].get("unknown", 0))
    yield Measured(name="gateway_failures", value=shown["gateway"]["failures"], warning="0")
    yield Measured(name="nodes", value=len(shown["nodes"]), critical="1:")
    yield Measured(name="alarms", value=len(shown["alarms"]))
    yield from _certificate_days(shown, limits)


def _certificate_days(shown: dict[str, Any], limits: Alarms) -> Iterator[Measured]:
    """The longest validity of each environment's certificates: when that ends, nothing of the environment is accepted."""
    longest: dict[str, int] = {}
    for row in shown["certificates"]:
        if row["days_left"] is not None:
            longest[row["environment"]] = max(row["days_left"], longest.get(row["environment"], row["days_left"]))
    expires = limits.certificate_expires
    for environment, days in longest.items():
        yield Measured(
            name=f"certificate_days_{environment}",
            value=days,
            warning="" if expires is None else f"{expires.days}:",
            critical="" if expires is None else "7:",
        )


def _first_line(stop: Stop) -> str:
    return str(stop).splitlines()[0]


def _one_line(text: str) -> str:
    """Without line ends and `|`, which begins the performance data."""
    return plain(" ".join(text.split())).replace("|", "/")
