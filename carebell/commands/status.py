"""`status`: listeners, certificates, queue depth and lag, gateway, alarms, the last message of each environment."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any, Final

from carebell.commands.open_store import opened_to_look
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.exits import OK, REFUSED
from carebell.inquiries.installation_state import state_of
from carebell.times import Zones
from journal.lines import plain

_PORTAL_STATES: Final = {
    True: "open",
    False: "NOT OPEN: is the service running?",
    None: "on another machine",
}


def status(config: Path | None, *, as_json: bool) -> int:
    """Print the state; 1 if something needs a person."""
    with opened_to_look(config) as installation:
        shown = state_of(installation)
    if as_json:
        print_json(shown)
    else:
        _print(shown, Zones(installation.loaded))
    return OK if _is_well(shown) else REFUSED


def _is_well(shown: dict[str, Any]) -> bool:
    gateway = shown["gateway"]
    return (
        shown["configuration_problem"] is None
        and all(node["configuration"] in (None, shown["configuration_on_disk"]) for node in shown["nodes"])
        and all(row["listening"] for row in shown["listeners"])
        and (shown["portal"] is None or shown["portal"]["listening"] is not False)
        and all(row["verdict"] == "accept" for row in shown["certificates"])
        and not gateway["holds"]
        and not gateway["breakers"]
        and not gateway["failures"]
        and not shown["alarms"]
    )


def _print(shown: dict[str, Any], zones: Zones) -> None:
    queue, gateway = shown["queue"], shown["gateway"]
    _print_configuration(shown, zones)
    for row in shown["listeners"]:
        state = "listening" if row["listening"] else "NOT LISTENING: is the service running?"
        print(
            f"listener  {row['listener']} {'TLS ' if row['tls'] else ''}for {', '.join(row['environments'])}: {state}"
        )
    if shown["portal"] is not None:
        print(f"portal    {shown['portal']['url']}: {_PORTAL_STATES[shown['portal']['listening']]}")
    late = (
        f", {queue['overdue']} overdue, oldest {queue['lag_seconds']} s late" if queue["overdue"] else ", none overdue"
    )
    retrying = f", {queue['retrying']} tried in vain and tried again" if queue["retrying"] else ""
    print(f"queue     {queue['ready']} ready, {queue['waiting']} waiting{late}{retrying}")
    answered = f", last answer {_clock(gateway['answered'], zones)}" if gateway["answered"] else ", no answer yet"
    print(f"gateway   {gateway['kind']}{' (live)' if gateway['live'] else ''}{answered}")
    if gateway["failures"]:
        since = _clock(gateway["failing_since"], zones)
        print(
            f"          DOES NOT ANSWER since {since}: {gateway['failures']} in a row, the last with {gateway['failure']}"
        )
    for held in gateway["holds"]:
        print(f"          HELD since {_clock(held['since'], zones)}: {_scope(held)}: {plain(held['reason'])}")
    for breaker in gateway["breakers"]:
        since = _clock(breaker["since"], zones)
        print(f"          STOPPED since {since}: {_scope(breaker)}: the gateway refuses, code {breaker['code']}")
    for alarm in shown["alarms"]:
        since = f" since {_clock(alarm['since'], zones)}" if alarm["since"] else ""
        lead = f"{alarm['severity'].upper():<9} "
        print_sentence(f"{alarm['alarm']}{since}: {plain(alarm['problem'])}. {alarm['advice']}", lead=lead)
    print(f"\n{zones.sentence({None, *(row['environment'] for row in shown['environments'])})}\n")
    print_table(
        ["Environment", "Certificate", "State", "Days left", "Expires"],
        [
            (
                row["environment"],
                Path(row["file"]).name,
                row["reason"] or row["verdict"],
                row["days_left"],
                _clock(row["not_after"], zones, row["environment"]),
            )
            for row in shown["certificates"]
        ],
        empty="no certificates",
        first="Certificate",
    )
    print()
    print_table(
        ["Environment", "Enabled", "Last message"],
        [
            (
                row["environment"],
                "yes" if row["enabled"] else "no",
                _clock(row["last_message"], zones, row["environment"]) if row["last_message"] else "none",
            )
            for row in shown["environments"]
        ],
        empty="no environments",
    )


def _print_configuration(shown: dict[str, Any], zones: Zones) -> None:
    """In force, and on disk where that is another one."""
    in_force, on_disk = shown["configuration"], shown["configuration_on_disk"]
    since = shown["configuration_since"]
    state = f"in force since {_clock(since, zones)}" if since is not None else "not in force: no service runs"
    print(f"config    {in_force} {state}")
    if shown["configuration_problem"] is not None:
        print(f"          ON DISK IS WRONG and not in force: {plain(shown['configuration_problem'])}")
    elif on_disk != in_force:
        print(f"          ON DISK is {on_disk}, not in force: `carebell logs` says why, within seconds of the change")
    for node in shown["nodes"]:
        if node["configuration"] not in (None, in_force):
            print(f"          node {node['node']} runs on {node['configuration']}")
        if node["restart_for"]:
            print(f"          node {node['node']} waits for a restart: {', '.join(node['restart_for'])}")


def _clock(written: str | None, zones: Zones, environment: str | None = None) -> str:
    """An instant of the JSON in the clinic's zone."""
    return zones.clock(None if written is None else datetime.fromisoformat(written), environment)


def _scope(row: dict[str, Any]) -> str:
    return "everything" if row["scope"] == "all" else f"{row['scope']} {row['name']}"
