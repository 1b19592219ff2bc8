"""`carebell` as a process that need not load its modules: a server, which has loaded them, forks one for each command.

A page's commands are hundreds, and most of what each computes is the import of the same modules. What is forked is a process as any
other: with its own arguments, environment, folder, umask and standard streams, which the program `PROGRAM` hands over. What must
be a child of the shell, because it is waited for or stopped by its number, is run as ever: services, and what follows a log.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[2]
_MOST_BYTES: Final = 128 * 1024
"""Of a request: the arguments and the environment."""
_CRASHED: Final = 70
"""EX_SOFTWARE: the forked process gave no exit code."""

PROGRAM: Final = """\
#!/bin/sh
case " $* " in
    *" serve "*|*" simulator "*|*" --follow "*|*" demo "*) exec {carebell} "$@" ;;
esac
exec {python} -I -S {file} {address} "$@"
"""

_CLIENT: Final = f"""\
import array, json, os, sys, _socket
umask = os.umask(0)
os.umask(umask)
request = dict(words=sys.argv[2:], environ=dict(os.environ), folder=os.getcwd(), umask=umask)
server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
server.connect(sys.argv[1])
streams = array.array("i", [0, 1, 2])
server.sendmsg([json.dumps(request).encode()], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
answer = server.recv(1)
os._exit(answer[0] if answer else {_CRASHED})
"""


@contextlib.contextmanager
def command_server(folder: Path, before: Sequence[str] = ()) -> Iterator[Path]:
    """The folder of a program `carebell`, to be put first in PATH.

    Args:
        before: words that are put before the server's command line, to run it under another program.
    """
    address, programs, client = folder / "server", folder / "bin", folder / "client.py"
    programs.mkdir(parents=True)
    client.write_text(_CLIENT, "utf-8")
    words = {
        "carebell": Path(sys.executable).with_name("carebell"), "python": sys.executable, "file": client, "address": address,
    }  # fmt: skip
    program = programs / "carebell"
    program.write_text(PROGRAM.format(**{name: shlex.quote(str(word)) for name, word in words.items()}), "utf-8")
    program.chmod(0o755)
    command = [*before, sys.executable, "-m", "tests.docs.command_server", str(address)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield programs  # leaving closes its standard input, which is its end


def _serve(address: str) -> None:
    """Until the standard input ends."""
    import carebell.commands

    for module in pkgutil.iter_modules(carebell.commands.__path__, "carebell.commands."):
        importlib.import_module(module.name)
    _build_command_tree_once()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(address)
    listener.listen(16)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        readable, _, _ = select.select([listener, sys.stdin], [], [])
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        if sys.stdin in readable:
            return
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            _run(connection)
        connection.close()


def _build_command_tree_once() -> None:
    import typer

    from carebell.cli import app

    typer.main.get_command = cache(typer.main.get_command)
    typer.main.get_command(app)


def _run(connection: socket.socket) -> None:
    """The console script's own `main`, and the end of this process."""
    from carebell.__main__ import main

    code: object = _CRASHED
    try:
        request, streams, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
        given = json.loads(request)
        for number, stream in enumerate(
            streams
        ):  # under sys.stdin, sys.stdout and sys.stderr, which have nothing buffered
            os.dup2(stream, number)
            os.close(stream)
        os.chdir(given["folder"])
        os.umask(given["umask"])
        os.environ.clear()
        os.environ.update(given["environ"])
        time.tzset()
        sys.argv = ["carebell", *given["words"]]
        main()
    except SystemExit as end:
        code = end.code
    finally:
        connection.send(bytes([code if isinstance(code, int) else int(code is not None)]))
        os._exit(0)


if __name__ == "__main__":
    _serve(sys.argv[1])
