"""The application's answer to what went back, when it comes later: a message of its own on our listener (HL7 2.5.1, section 2.9.3).

The engine answered CA on the connection of the message; its application then answers ACK^S14^ACK, SRR^S04^SRR_S04 to an SRM, or MCF
up to 2.4, with MSA-1 AA, AE or AR and MSA-2 the MSH-10 of what went back. It is verified as every message of its environment.
"""

from __future__ import annotations

from certs.message import VerifiedMessage
from ehr.acknowledgements import EngineAnswer, read_answer
from parser.ack import control_id_fault
from parser.event import Rejection


def read_later_answer(message: VerifiedMessage) -> EngineAnswer | Rejection:
    """What it says, or why it cannot be used. Nothing else of it is read, because it may speak of the patient."""
    fault = control_id_fault(message.msh)
    if fault is not None:
        err3, text = fault
        return Rejection(code="SIG10", err3=err3, text=text, location="MSH^1^10")
    answer = read_answer(message.payload.replace(b"\n", b" "))  # between segments is CR; any LF is data
    if answer is None:
        text = "there is no MSA with the answer (AA, AE, AR) and the id of what it answers"
        return Rejection(code="FIELD", err3="101", text=text, location="MSA^1")
    if not answer.answer.startswith("A"):
        text = "MSA-1 is CA, CE or CR, which belong on the connection of the message that they answer"
        return Rejection(code="VALUE", err3="102", text=text, location="MSA^1^1")
    return answer
