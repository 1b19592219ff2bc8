"""Every command of the command line, for tests that walk over all of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import typer

from carebell.cli import app


def _leaves(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _leaves(command, (*path, name))
        if not hasattr(command, "commands") or command.invoke_without_command:
            yield " ".join((*path, name)), command


LEAVES: Final = tuple(_leaves(typer.main.get_command(app), ()))
"""(the command without `carebell`, typer's command)."""
