"""`carebell` and `python -m carebell`: run a command and turn each way it can end into a sentence and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from typing import Final, cast

_COMPLETION: Final = "_CAREBELL_COMPLETE"
"""Set by the completion scripts that `carebell --show-completion` prints (typer)."""


def main() -> None:
    if "serve" in sys.argv[1:]:  # a reload that is asked for while the service is being loaded must not end it
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from carebell.exits import CLOSED_PIPE

    try:
        code = _run(sys.argv[1:])
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:  # None: the stream was closed before the start
                stream.flush()
    except BrokenPipeError:  # `carebell outbox | head -1`: the reader has closed the pipe
        _leave_the_pipe()
        code = CLOSED_PIPE
    sys.exit(code)


def _run(words: Sequence[str]) -> int:
    """Run and return the exit code. BrokenPipeError: the reader has closed the pipe."""
    import typer

    from carebell.cli import app
    from carebell.exits import INTERRUPTED, OK, PERMISSION, REFUSED, USAGE, Stop

    # click's UsageError; typer has a copy of it without a public name
    usage_error = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[1])
    command = typer.main.get_command(app)
    if _COMPLETION in os.environ:  # the shell asks what may follow; prints it and exits
        command.main(list(words), prog_name="carebell")
    try:
        # As `app()` does, but without its own handling of Ctrl-C and of a closed pipe.
        with command.make_context("carebell", list(words)) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    except Stop as stop:
        _say(str(stop))
        return stop.exit_code
    except KeyboardInterrupt:  # commands that change something report more in `carebell.commands.interrupt`
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
        _say(f"{error.filename or 'the path'} is a folder; give a file")
        return REFUSED
    except OSError as error:  # a full disk, a file where a folder should be
        _say(f"{error.filename or 'the system says'}: {(error.strerror or 'failed').lower()}")
        return REFUSED
    except usage_error as error:
        error.show()
        return USAGE
    except Exception as error:  # a bug in Carebell: print its place, not its text, which may hold message content
        from journal.traces import trace

        bug = trace(error)
        _say(f"a bug: {bug.exception} at {bug.frames}; please report this line")
        return REFUSED
    return OK


def _say(text: str) -> None:
    from journal.lines import plain

    print("\n".join(map(plain, f"carebell: {text}".split("\n"))), file=sys.stderr)


def _leave_the_pipe() -> None:
    """Discard buffered output, so that the interpreter does not try to write it at its end and report an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):  # the stream is missing or has no descriptor
            try:
                stream.flush()
            except BrokenPipeError:
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    main()
