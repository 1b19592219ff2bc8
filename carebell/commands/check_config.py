"""`check-config`: 0, or 78 with `file:line:column: key: why`, a line for each problem; warnings too."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from carebell.commands.output import print_json
from carebell.exits import CONFIGURATION, OK, Stop
from carebell.wiring import findings, gatekeeper, load


def check_config(config: Path | None, *, as_json: bool) -> int:
    """Print what is wrong, then what is odd, then what would run."""
    now = datetime.now(UTC)
    loaded = load(config)
    found = findings(loaded, now)
    for each in sorted(found, key=lambda one: one.is_warning):
        problem = each.problem
        if as_json:
            print_json(
                {
                    "file": problem.file, "line": problem.line, "column": problem.column, "key": problem.key,
                    "why": problem.why, "warning": each.is_warning,
                }
            )  # fmt: skip
        else:
            print(f"{'warning: ' if each.is_warning else ''}{problem}")
    wrong = any(not each.is_warning for each in found)
    if not wrong:
        enabled = [name for name, one in loaded.configuration.environments.items() if one.enabled]
        for name in enabled:
            try:
                gatekeeper(loaded, [name], now)
            except Stop as stop:
                print(stop)
                return CONFIGURATION
    if not as_json:
        verdict = "cannot run" if wrong else f"good, version {loaded.version}"
        print(f"{loaded.path}: {verdict}; environments: {', '.join(loaded.configuration.environments)}")
    return CONFIGURATION if wrong else OK
