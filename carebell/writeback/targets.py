"""HL7 v2 as a way to one environment's EHR: its settings, the bytes of a row, and connections."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Final

from certs.cer import read_upload
from certs.sign import SigningError, load_key, sign
from config.load import Loaded
from config.model import WritebackHl7
from config.outmap import OutMap
from ehr.messages import OutgoingEvent, OutgoingHeader, Unrenderable, render
from ehr.mllp import EngineConnection
from listener.tls import TlsSetupError, client_context
from scheduler.writeback import WritebackChannel
from store.writeback_rows import VisitNames, WritebackRow

CONNECT_TIMEOUT: Final = timedelta(seconds=10)
_MARGIN: Final = timedelta(seconds=30)


class TargetUnusable(Exception):
    """A file that the target needs cannot be used: `code` TLS_FILES or SIGNING_KEY."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class Hl7Target:
    """One environment's interface engine.

    Attributes:
        hold: nothing is sent.
        zone: the clinic's.
    """

    environment: str
    hl7: WritebackHl7
    out_map: OutMap = field(repr=False)
    header: OutgoingHeader
    zone: tzinfo
    hold: bool

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
    def on(self) -> Mapping[str, str]:
        """AE, AR, CE, CR -> refuse or retry."""
        return self.hl7.on.model_dump()

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
        if visit is None:
            raise Unrenderable("NO_VISIT_ID", "the visit is not known any more")
        at = row.facts.get("at")
        event = OutgoingEvent(
            id=row.id,
            event=row.event,
            at=datetime.fromisoformat(at) if isinstance(at, str) else row.created_at,
            facts=row.facts,
            aliases=visit.aliases,
            start=visit.start,
        )
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
    )
    return Hl7Target(
        environment=name,
        hl7=hl7,
        out_map=out_map,
        header=header,
        zone=environment.zone,
        hold=environment.writeback.hold,
    )


def hl7_targets(loaded: Loaded) -> list[Hl7Target]:
    """Of all environments that are enabled."""
    targets = (
        hl7_target(loaded, name) for name, section in loaded.configuration.environments.items() if section.enabled
    )
    return [target for target in targets if target is not None]
