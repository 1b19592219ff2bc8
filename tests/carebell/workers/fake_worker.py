"""A worker for the pool's tests, which does what its first argument says (`... WORD --worker N`).

good      starts, prepares, activates, drains and ends
refuses   as good, but cannot use a changed configuration
fails     cannot start
dies      as good, and exits with 3 when it is handed a connection
"""

from __future__ import annotations

import pickle
import socket
import struct
import sys
from typing import Any

from carebell.workers import messages


def main() -> int:
    word, descriptor = sys.argv[1], int(sys.argv[-1])
    channel = socket.socket(fileno=descriptor)

    def say(message: object) -> None:
        content = pickle.dumps(message)
        channel.sendall(struct.pack("!I?", len(content), False) + content)

    for message in _received(channel):
        match message:
            case messages.StartWorker() if word == "fails":
                say(messages.StartFailed(problem="carebell.yaml:1:1: it is wrong", code=78))
                return 1
            case messages.StartWorker():
                say(messages.WorkerReady())
            case messages.PrepareConfig():
                problem = "this one cannot use it" if word == "refuses" else None
                say(messages.ConfigPrepared(attempt=message.attempt - 1, problem="of another attempt"))
                say(messages.ConfigPrepared(attempt=message.attempt, problem=problem))
            case messages.ActivateConfig():
                say(messages.ConfigActivated())
            case messages.ConnectionPassed() if word == "dies":
                return 3
            case messages.DrainPort():
                say(messages.PortDrained(port=message.port, messages=7))
            case messages.EndWorker():
                return 0
    return 0


def _received(channel: socket.socket) -> Any:
    while head := channel.recv(5, socket.MSG_WAITALL):  # what comes with a message is not looked at
        length, _ = struct.unpack("!I?", head)
        yield pickle.loads(channel.recv(length, socket.MSG_WAITALL))


if __name__ == "__main__":
    sys.exit(main())
