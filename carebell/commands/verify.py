"""`verify`: say how the service would answer the messages in files. Nothing is stored."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from carebell.bootstrap.components import environment_named, load
from carebell.commands.files import FileMessage, blocks
from carebell.commands.output import print_json, print_sentence, print_table
from carebell.commands.progress import with_progress
from carebell.environment_policy import EnvironmentPolicy, environment_policy
from carebell.exits import OK, REFUSED
from carebell.inbound.trust import message_validator, read_signer
from carebell.inbound.validate import MessageValidator, ValidatedMessage
from certs.replay import Repeat, ReplayMemory, Reused
from parser.ack import ACCEPTED, Answer, acknowledgement_code

_ASSUMED: Final = "client certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One message's answer as the sender would get it. If MSH-15 asks for no answer, `text` says so.

    Attributes:
        name: the file and the message in it.
    """

    name: str
    answer: str
    code: str | None
    err3: str
    text: str


def verify(config: Path | None, files: Sequence[Path], environment: str, *, at: datetime | None, as_json: bool) -> int:
    """Print a verdict for each message; 1 unless all are accepted. With mutual-tls, assume that the certificate was shown."""
    loaded = load(config)
    enabled = environment_named(loaded, environment).enabled
    now = at or datetime.now(UTC)
    validator = message_validator(loaded, [environment] if enabled else [], now)
    if not enabled:
        print(
            f"carebell: environment {environment} is switched off (enabled: false): all its messages are refused",
            file=sys.stderr,
        )
    policy = environment_policy(loaded, environment)
    memory: ReplayMemory[Answer] = ReplayMemory()
    peer_thumbprint = _peer_thumbprint(policy, now)
    verdicts = []
    for file in files if as_json else with_progress("Verifying", files, len(files)):
        for block in blocks(file):
            verdict = _verdict(block, validator, policy, memory, now, peer_thumbprint)
            verdicts.append(verdict)
            if as_json:
                row = block.place | {"answer": verdict.answer, "code": verdict.code, "err3": verdict.err3}
                print_json(row | {"text": verdict.text, "assumed": None if peer_thumbprint is None else _ASSUMED})
    if not as_json:
        print_table(
            ["File", "Answer", "Code", "ERR-3", "Why"],
            [(verdict.name, verdict.answer, verdict.code, verdict.err3, verdict.text) for verdict in verdicts],
            empty="no message in these files",
        )
        if peer_thumbprint is not None:
            certificate = policy.environment.certificates[0].name
            print_sentence(
                f"environment {environment} authenticates by mutual TLS, and a file has no connection: the connection's "
                f"certificate was not checked, but taken to be {certificate}. "
                "`carebell send --tls-cert --tls-key` asks the listener itself."
            )
    return OK if verdicts and all(verdict.answer in ("AA", "CA") for verdict in verdicts) else REFUSED


def _peer_thumbprint(policy: EnvironmentPolicy, now: datetime) -> str | None:
    """Thumbprint of the assumed TLS client certificate, the first of the environment; None: no certificate."""
    if policy.environment.authentication != "mutual-tls":
        return None
    _, certificate = read_signer(policy.environment.certificates[0], now)
    return None if certificate is None else certificate.thumbprint


def _verdict(
    block: FileMessage,
    validator: MessageValidator,
    policy: EnvironmentPolicy,
    memory: ReplayMemory[Answer],
    now: datetime,
    peer_thumbprint: str | None,
) -> Verdict:
    content = block.content
    if block.fault is not None:
        return Verdict(name=block.name, answer="CLOSE", code="FRAME", err3="", text=block.fault)
    if len(content) > policy.environment.listener.max_message_bytes:
        validated = validator.too_long(content, now)
    else:
        validated = validator.validate(content, now, peer_thumbprint)
    answer = validated.refused or _remembered(validated, policy, memory)
    code: str | None = acknowledgement_code(validated.msh, answer, honour_ne=policy.environment.honour_ne)
    text = answer.text
    if code is None:  # the decision is made nevertheless: the sender uses enhanced mode
        code, text = f"C{answer.answer[1]}", f"{text} (no answer is sent: MSH-15)"
    return Verdict(name=block.name, answer=code, code=answer.code, err3=answer.err3, text=text)


def _remembered(validated: ValidatedMessage, policy: EnvironmentPolicy, memory: ReplayMemory[Answer]) -> Answer:
    assert validated.verified is not None
    remembered = memory.look(validated.verified, reuse=policy.environment.reuse_of_control_id)
    if isinstance(remembered, Repeat):
        return remembered.answer
    if isinstance(remembered, Reused):
        return policy.reused()
    memory.keep(validated.verified, ACCEPTED)
    return ACCEPTED
