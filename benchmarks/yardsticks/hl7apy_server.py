"""hl7apy's MLLPServer as its documentation shows it: a thread a connection, `parse_message`, an ACK. Keeps nothing."""

from __future__ import annotations

from hl7apy.core import Message
from hl7apy.mllp import AbstractErrorHandler, AbstractHandler, MLLPServer
from hl7apy.parser import parse_message


class Acknowledge(AbstractHandler):  # type: ignore[misc]
    def reply(self) -> str:
        message = parse_message(self.incoming_message, find_groups=False)
        answer = Message("ACK", version="2.5")
        answer.msa.msa_1 = "AA"
        answer.msa.msa_2 = message.msh.msh_10.value
        return str(answer.to_mllp())


class Fail(AbstractErrorHandler):  # type: ignore[misc]
    def reply(self) -> str:
        raise self.exc


if __name__ == "__main__":
    handlers = {"SIU^S12^SIU_S12": (Acknowledge,), "ERR": (Fail,)}
    server = MLLPServer("127.0.0.1", 0, handlers)
    server.daemon_threads = True
    print("ready", server.server_address[1], flush=True)
    server.serve_forever()
