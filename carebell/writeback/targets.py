"""HL7 v2 as a way to one environment's EHR: its settings, the bytes of a row, and connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final, Literal

from carebell.writeback.lines import TargetUnusable, outgoing_event
from certs.cer import read_upload
from certs.sign import SigningError, load_key, sign
from config.load import Loaded
from config.model import WritebackHl7
from config.outmap import OutMap
from ehr.acknowledgements import EngineVerdict, judge
from ehr.delivery import Delivery, Unanswered
from ehr.messages import OutgoingHeader, render
from ehr.mllp import EngineConnection, EngineFault
from listener.tls import TlsSetupError, client_context
from scheduler.writeback import WritebackChannel
from store.writeback_rows import VisitNames, WritebackRow

CONNECT_TIMEOUT: Final = timedelta(seconds=10)
_MARGIN: Final = timedelta(seconds=30)
_MSH_16: Final[Mapping[str, Literal["NE", "ER", "AL"]]] = {"never": "NE", "errors": "ER", "always": "AL"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Target:
    """One environment's interface engine.

    Attributes:
        hold: nothing is sent.
        wants_patient_id: the environment keeps PID-3.
        zone: the clinic's.
    """

    environment: str
    hl7: WritebackHl7
    out_map: OutMap = field(repr=False)
    header: OutgoingHeader
    zone: tzinfo
    hold: bool
    wants_patient_id: bool = False

    @property
    def channel(self) -> WritebackChannel:
        return WritebackChannel.HL7

    @property
    def name(self) -> str:
        """The job that only one node has at a time (`store.leases`)."""
        return f"writeback {self.environment} {self.channel.value}"

    @property
    def strict(self) -> bool:
        return self.hl7.ordering == "strict"

    @property
    def lease(self) -> timedelta:
        """Longer than an exchange can take."""
        return self.hl7.ack_timeout + CONNECT_TIMEOUT + _MARGIN

    @property
    def limit(self) -> int:
        return self.hl7.connections

    def opened(self, now: datetime) -> Hl7Line:
        """TargetUnusable: TLS files or signing key cannot be used."""
        signer = self.signer(now)
        return Hl7Line(target=self, sign=signer, free=[self.connection() for _ in range(self.limit)])

    def connection(self) -> EngineConnection:
        """A connection that is not open yet. TargetUnusable: a TLS file cannot be used."""
        tls = self.hl7.tls
        try:
            anchors = None if tls is None or tls.ca is None else [tls.ca.read_bytes()]
            context = None if tls is None else client_context(anchors=anchors, certificate=tls.certificate, key=tls.key)
        except (OSError, TlsSetupError) as error:
            raise TargetUnusable("TLS_FILES", str(error)) from None
        return EngineConnection(
            host=self.hl7.host,
            port=self.hl7.port,
            timeout=self.hl7.ack_timeout,
            tls=context,
            server_name=None if tls is None else tls.server_name,
            connect_timeout=CONNECT_TIMEOUT,
        )

    def signer(self, now: datetime) -> Callable[[bytes], bytes]:
        """Appends our own signature, or nothing. TargetUnusable: key and certificate cannot be used together."""
        files = self.hl7.signing
        if not self.hl7.sign or files is None:
            return lambda content: content
        certificate = read_upload(files.certificate, now).certificate
        try:
            if certificate is None:
                raise SigningError(f"{files.certificate.name} is no certificate that can be used")
            key, own = load_key(files.key), certificate
            sign(b"MSH|^~\\&\r", key=key, certificate=own)  # do they match?
        except SigningError as error:
            raise TargetUnusable("SIGNING_KEY", str(error)) from None
        return lambda content: sign(content, key=key, certificate=own)

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        """A row's message, unsigned. Unrenderable: there can be none."""
        event = outgoing_event(row, visit)
        return render(self.out_map, self.header, event, self.zone)


def hl7_target(loaded: Loaded, name: str) -> Hl7Target | None:
    """An environment's target; None: nothing goes back to it by HL7."""
    environment = loaded.configuration.environments[name]
    hl7, out_map = environment.writeback.hl7, loaded.out_maps.get(name)
    if hl7 is None or out_map is None:
        return None
    accepted = environment.sender.processing_ids
    header = OutgoingHeader(
        sending_application=hl7.sending_application,
        sending_facility=hl7.sending_facility,
        receiving_application=hl7.receiving_application,
        receiving_facility=hl7.receiving_facility,
        processing_id="P" if environment.kind == "production" else accepted[0],
        version=hl7.version,
        enhanced=hl7.ack == "enhanced",
        application_ack=_MSH_16[hl7.application_ack],
    )
    return Hl7Target(
        environment=name,
        hl7=hl7,
        out_map=out_map,
        header=header,
        zone=environment.zone,
        hold=environment.writeback.hold,
        wants_patient_id=environment.writeback.keeps_patient_id,
    )


@dataclass(slots=True, kw_only=True)
class Hl7Line:
    """Connections to one engine, as many as may be used at once; each opens when it is needed.

    Attributes:
        sign: appends our signature. free: those that nobody uses at present.
    """

    target: Hl7Target
    sign: Callable[[bytes], bytes]
    free: list[EngineConnection]
    _busy: list[EngineConnection] = field(default_factory=list, init=False)

    def content(self, row: WritebackRow, visit: VisitNames | None) -> bytes:
        return self.sign(self.target.content(row, visit))

    async def deliver(self, row: WritebackRow, content: bytes, sent: Callable[[], None]) -> Delivery:
        """One message and the answer to it."""
        connection = self.free.pop(0)
        self._busy.append(connection)
        try:
            await connection.open()
            sent()
            answer = await connection.exchange(content, row.id)
        except EngineFault as fault:
            raise Unanswered(fault.code) from None
        finally:
            self._busy.remove(connection)
            self.free.insert(0, connection)
        verdict = judge(answer, self.target.hl7.on.model_dump())
        code = None if verdict is EngineVerdict.TAKEN else answer.answer
        return Delivery(verdict=verdict, answer=answer.answer, code=code, issue=answer.err3)

    def close(self) -> None:
        for connection in (*self.free, *self._busy):
            connection.abort()
