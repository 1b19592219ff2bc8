"""`check-config`: exit 0, or 78 with a line `file:line:column: key: why` for each problem. Warnings are printed too."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from carebell.bootstrap.components import configuration_path
from carebell.bootstrap.descriptors import would_not_fit
from carebell.bootstrap.preflight import findings
from carebell.commands.output import print_json
from carebell.exits import CONFIGURATION, OK
from carebell.inbound.trust import ConfigurationFinding
from config.load import load as load_configuration
from config.problems import ConfigurationError
from journal.lines import plain


def check_config(config: Path | None, *, as_json: bool) -> int:
    """Print the problems, then the warnings, then the verdict."""
    try:
        loaded = load_configuration(configuration_path(config), os.environ)
    except ConfigurationError as error:
        for problem in error.problems:
            if as_json:
                _print_row(ConfigurationFinding(problem=problem))
            else:  # nothing is printed before it: editors jump to `file:line:column:` at the beginning of a line
                print(plain(str(problem)), file=sys.stderr)
        return CONFIGURATION
    problems = findings(loaded, datetime.now(UTC))
    oddities = would_not_fit(loaded)
    problems += [ConfigurationFinding(problem=problem, is_warning=True) for problem in oddities]
    for finding in sorted(problems, key=lambda finding: finding.is_warning):
        if as_json:
            _print_row(finding)
        else:
            print(f"{'warning: ' if finding.is_warning else ''}{finding.problem}")
    wrong = any(not finding.is_warning for finding in problems)
    if not as_json:  # JSON has a line for each finding; if there is none, the exit code is enough
        verdict = "cannot run" if wrong else f"good, version {loaded.version}"
        print(f"{loaded.path}: {verdict}; environments: {', '.join(loaded.configuration.environments)}")
    return CONFIGURATION if wrong else OK


def _print_row(finding: ConfigurationFinding) -> None:
    problem = finding.problem
    place = {"file": problem.file, "line": problem.line, "column": problem.column, "key": problem.key}
    print_json(place | {"why": problem.why, "warning": finding.is_warning})
