"""The exit codes of the command line's contract, and the errors that carry them."""

from __future__ import annotations

from typing import Final

OK: Final = 0
REFUSED: Final = 1  # what the command was asked about was refused, or failed
USAGE: Final = 2
TRANSIENT: Final = 75  # EX_TEMPFAIL: try again later
PERMISSION: Final = 77  # EX_NOPERM
CONFIGURATION: Final = 78  # EX_CONFIG
INTERRUPTED: Final = 130  # 128 + SIGINT, as a shell reports it
CLOSED_PIPE: Final = 141  # 128 + SIGPIPE, as a shell reports it


class Stop(Exception):
    """A command cannot continue. Its message is one sentence (or several lines) for the person at the terminal.

    Stop
    ├── UsageStop          2   the arguments are wrong
    ├── TransientStop      75  the same call may succeed later
    ├── PermissionStop     77  the process may not use a file or port
    ├── ConfigurationStop  78  carebell.yaml, or a file that it names
    └── InterruptedStop    130 Ctrl-C; the sentence says what was done until then
    """

    exit_code: int = REFUSED


class UsageStop(Stop):
    exit_code = USAGE


class TransientStop(Stop):
    exit_code = TRANSIENT


class PermissionStop(Stop):
    exit_code = PERMISSION


class ConfigurationStop(Stop):
    exit_code = CONFIGURATION


class InterruptedStop(Stop):
    exit_code = INTERRUPTED
