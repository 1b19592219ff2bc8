"""`carebell` and `python -m carebell`: run a command and turn whatever ends it into a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import cast


def main() -> None:
    from carebell.exits import CLOSED_PIPE

    try:
        code = _run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # None: it was closed before we began
                stream.flush()
    except BrokenPipeError:  # `carebell outbox | head -1`: whoever read has seen enough
        _leave_the_pipe()
        code = CLOSED_PIPE
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    """The exit code. BrokenPipeError: nobody reads what is printed."""
    import typer

    from carebell.cli import app
    from carebell.exits import INTERRUPTED, OK, PERMISSION, REFUSED, USAGE, Stop

    # click's UsageError, which typer has a copy of without a public name
    usage_error = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
    command = typer.main.get_command(app)
    try:
        # As `app()` does, without what it makes of Ctrl-C and of a closed pipe.
        with command.make_context("carebell", list(words)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except Stop as stop:
        _say(str(stop))
        return stop.exit_code
    except KeyboardInterrupt:  # where something is changed, `carebell.commands.interrupt` knows more
        _say("interrupted: nothing was changed")
        return INTERRUPTED
    except EOFError:
        _say("the input ended before an answer came; nothing was changed")
        return USAGE
    except BrokenPipeError:
        raise
    except PermissionError as error:
        _say(f"{error.filename or 'a file'}: permission denied")
        return PERMISSION
    except FileNotFoundError as error:
        _say(f"{error.filename or 'a file'}: no such file")
        return REFUSED
    except IsADirectoryError as error:
        _say(f"{error.filename or 'the path'}: is a folder, a file is wanted")
        return REFUSED
    except OSError as error:  # a full disk, a file where a folder should be
        _say(f"{error.filename or 'the system says'}: {(error.strerror or 'failed').lower()}")
        return REFUSED
    except usage_error as error:
        error.show()
        return USAGE
    except Exception as error:  # a bug of ours: where it is, without its text, which may hold what a message says
        from journal.traces import trace

        bug = trace(error)
        _say(f"a bug: {bug.exception} at {bug.frames}; please report this line")
        return REFUSED
    return OK


def _say(text: str) -> None:
    from journal.lines import plain

    print("\n".join(map(plain, f"carebell: {text}".split("\n"))), file=sys.stderr)


def _leave_the_pipe() -> None:
    """What is still buffered goes nowhere, so that the interpreter does not try to write it at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # no such stream, or one without a descriptor
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
