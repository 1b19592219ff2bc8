"""`bench` with an environment whose events go back to a simulated FHIR server and its connection status' service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.load import Loaded, load
from oauth.client_keys import published, read_client_key
from simulator.fhir.faults import ResourceAct
from simulator.fhir.records import STATUS_PATH
from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from tests.carebell.writeback.bench import Bench, bench
from tests.config.conftest import SMALL

_CONFIGURED: Final = """\
    fhir_base_url: https://ehr.example/r4
    writeback:
      events: {confirmed: fhir, waiting: fhir, device_test: fhir, connected: epic_status, disconnected: epic_status}
      fhir: {auth: {client_id: carebell, key_file: fhir.key, algorithm: ES384}, map: fhir.yaml}
      epic_status: {url: "https://ehr.example/status", client_id_file: epic.client, map: status.yaml}
    listener: {port: 2575}
"""
FHIR_MAP: Final = """\
name: Own
appointment: {read: "{filler_id}"}
interactions:
  confirmed:
    create: AppointmentResponse
    body:
      appointment: {reference: "{appointment}"}
      actor: {reference: "{patient}"}
      participantStatus: accepted
  waiting:
    patch: {status: arrived, changes_from: [booked], already: [arrived, checked-in]}
  device_test:
    create: Observation
    if_none_exist: false
    body: {status: final, code: {text: Device test}, subject: {reference: "{patient}"}}
"""
STATUS_MAP: Final = """\
name: Own
method: POST
fields: {ConferenceID: "{filler_id}", ExternalID: "{filler_id}", ExternalIDType: CSN, VendorName: Carebell}
statuses: {connected: in, disconnected: out}
"""


def configured(folder: Path, fhir: FhirSimulator, timeout: timedelta) -> Loaded:
    """A configuration whose environment `prod` tells this simulator; as a test environment, so that it may be on this machine."""
    private = ec.generate_private_key(ec.SECP384R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "fhir.key").write_bytes(pem)
    (folder / "epic.client").write_text("epic-client\n", "ascii")
    (folder / "fhir.yaml").write_text(FHIR_MAP, "utf-8")
    (folder / "status.yaml").write_text(STATUS_MAP, "utf-8")
    path = folder / "carebell.yaml"
    path.write_text(SMALL.replace("    listener: {port: 2575}\n", _CONFIGURED, 1), encoding="utf-8")
    fhir.resources.backend.keys = published([read_client_key(pem, "ES384")])["keys"]
    loaded = load(path, {})
    environment = loaded.configuration.environments["prod"]
    section = environment.writeback
    assert section.fhir is not None
    assert section.epic_status is not None
    here: dict[str, Any] = {
        "fhir": section.fhir.model_copy(update={"timeout": timeout}),
        "epic_status": section.epic_status.model_copy(update={"url": fhir.origin + STATUS_PATH, "timeout": timeout}),
    }
    changed = environment.model_copy(
        update={"kind": "test", "fhir_base_url": fhir.base_url, "writeback": section.model_copy(update=here)}
    )
    environments = {**loaded.configuration.environments, "prod": changed}
    return replace(loaded, configuration=loaded.configuration.model_copy(update={"environments": environments}))


@asynccontextmanager
async def web_bench(
    folder: Path, *, patience: timedelta = timedelta(seconds=60)
) -> AsyncIterator[tuple[Bench, FhirSimulator]]:
    """Args:
    patience: of a request; long, for a loaded machine.
    """
    async with bench(folder) as made:
        with running_fhir_simulator(FhirSimulator(clock=made.clock.now)) as fhir:
            made.loaded = configured(folder, fhir, patience)
            yield made, fhir
            await made.sender.finish()


def after(fhir: FhirSimulator, *acts: str) -> None:
    """What happens to the next requests for resources."""
    fhir.resources.acts.extend(ResourceAct(act) for act in acts)
