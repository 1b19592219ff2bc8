"""`carebell` and `python -m carebell`: run a command and turn whatever ends it into a sentence and an exit code."""

from __future__ import annotations

import sys


def main() -> None:
    from carebell.cli import app
    from carebell.exits import PERMISSION, REFUSED, Stop
    from journal.lines import plain

    try:
        app(prog_name="carebell")  # also as `python -m carebell`
    except Stop as stop:
        print("\n".join(map(plain, f"carebell: {stop}".split("\n"))), file=sys.stderr)
        sys.exit(stop.exit_code)
    except PermissionError as error:
        print(f"carebell: {plain(str(error.filename or 'a file'))}: permission denied", file=sys.stderr)
        sys.exit(PERMISSION)
    except FileNotFoundError as error:
        print(f"carebell: {plain(str(error.filename or 'a file'))}: no such file", file=sys.stderr)
        sys.exit(REFUSED)
    except IsADirectoryError as error:
        print(f"carebell: {plain(str(error.filename or 'the path'))}: is a folder, a file is wanted", file=sys.stderr)
        sys.exit(REFUSED)
    except BrokenPipeError:  # `carebell logs | head`
        sys.stderr.close()
        sys.exit(REFUSED)
    except OSError as error:  # a full disk, a file where a folder should be
        said = (error.strerror or "failed").lower()
        print(f"carebell: {plain(str(error.filename or 'the system says'))}: {said}", file=sys.stderr)
        sys.exit(REFUSED)
    except Exception as error:  # a bug of ours: where it is, without its text, which may hold what a message says
        from journal.traces import trace

        told = trace(error)
        print(f"carebell: a bug: {told['exception']} at {told['frames']}; please report this line", file=sys.stderr)
        sys.exit(REFUSED)


if __name__ == "__main__":
    main()
