"""From a row to the EHR's web services: what its answers make of the row."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ruamel.yaml import YAML

from carebell.writeback.web_targets import published_keys
from config.fhir_map import FhirMap
from config.load import FHIR_MAPS
from oauth.client_keys import read_client_key
from scheduler.writeback import WritebackChannel, WritebackEvent, WritebackState
from tests.carebell.writeback.bench import Bench
from tests.carebell.writeback.web_bench import after, web_bench

ORACLE_HEALTH = FHIR_MAPS / "oracle_health.yaml"
pytestmark = pytest.mark.asyncio
FHIR, STATUS = WritebackChannel.FHIR, WritebackChannel.EPIC_STATUS


def last(made: Bench) -> tuple[WritebackState, str | None, str | None]:
    row = made.rows()[-1]
    return row.state, row.answer, row.code


async def test_a_reply_becomes_an_appointment_response_once(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0")
        [visit] = made.visits(1)
        own_id = made.add(visit, channel=FHIR)
        after(fhir, "ok", "lost_after")
        await made.turn()
        assert last(made) == (WritebackState.DUE, None, "NOT_HTTP")
        await made.until_settled()
        assert last(made) == (WritebackState.ACKNOWLEDGED, "200", None)
        [response] = fhir.resources.records.created["AppointmentResponse"]
        assert response["identifier"] == [{"system": "urn:carebell", "value": own_id}]
        assert (response["participantStatus"], response["actor"]) == ("accepted", {"reference": "Patient/p0"})
        assert made.events().count("writeback_acknowledged") == 1


async def test_a_refusal_is_named_and_is_not_tried_again(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0", status="cancelled")
        [visit] = made.visits(1)
        made.add(visit, WritebackEvent.WAITING, channel=FHIR)
        await made.until_settled()
        assert last(made) == (WritebackState.REFUSED, None, "APPOINTMENT_STATE")
        made.add(visit, channel=FHIR)
        after(fhir, "ok", "403")
        await made.until_settled()
        assert last(made) == (WritebackState.REFUSED, "403", "HTTP_403")


async def test_a_server_that_asks_to_be_left_alone_is(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        for number in range(2):
            fhir.resources.records.put(str(number))
        fhir.resources.retry_after = 300
        first, second = made.visits(2)
        made.add(first, channel=FHIR)
        after(fhir, "429")
        await made.turn()
        began = made.clock.now()
        made.add(second, channel=FHIR)
        await made.turn()
        assert [row.state for row in made.rows()] == [WritebackState.DUE, WritebackState.DUE]
        [waits, _] = made.rows()
        assert (waits.answer, waits.code, waits.next_attempt_at) == ("429", "HTTP_429", began + timedelta(seconds=300))
        made.clock.move_to(began + timedelta(seconds=300))
        await made.turn()
        assert {row.state for row in made.rows()} == {WritebackState.ACKNOWLEDGED}


async def test_what_may_be_there_is_not_made_twice(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0")
        [visit] = made.visits(1)
        made.add(visit, WritebackEvent.DEVICE_TEST, channel=FHIR)
        after(fhir, "ok", "lost_after")
        await made.until_settled()
        assert last(made) == (WritebackState.UNKNOWN, None, "MAYBE_DONE")
        assert len(fhir.resources.records.created["Observation"]) == 1
        assert "writeback_doubtful" in made.events()


async def test_without_a_token_everything_waits(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0")
        keys, fhir.resources.backend.keys = fhir.resources.backend.keys, ()
        [visit] = made.visits(1)
        made.add(visit, channel=FHIR)
        await made.turn()
        assert last(made) == (WritebackState.DUE, None, "TOKEN_INVALID_CLIENT")
        assert made.sender.silent() == {"prod": 1}
        fhir.resources.backend.keys = keys
        await made.until_settled()
        assert last(made)[0] is WritebackState.ACKNOWLEDGED


@pytest.mark.parametrize(
    ("file", "channel", "event", "code"),
    [
        ("fhir.key", FHIR, WritebackEvent.CONFIRMED, "CLIENT_KEY"),
        ("epic.client", STATUS, WritebackEvent.CONNECTED, "CLIENT_ID"),
    ],
)
async def test_a_file_that_cannot_be_used_is_read_again(
    tmp_path: Path, file: str, channel: WritebackChannel, event: WritebackEvent, code: str
) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0")
        content = (tmp_path / file).read_bytes()
        (tmp_path / file).write_bytes(b"")
        [visit] = made.visits(1)
        made.add(visit, event, channel=channel)
        await made.turn()
        assert last(made) == (WritebackState.DUE, None, code)
        (tmp_path / file).write_bytes(content)
        await made.until_settled()
        assert last(made)[0] is WritebackState.ACKNOWLEDGED


async def test_connections_go_to_their_own_service(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        [visit] = made.visits(1)
        made.add(visit, WritebackEvent.CONNECTED, channel=STATUS)
        await made.until_settled()
        made.add(visit, WritebackEvent.DISCONNECTED, channel=STATUS)
        after(fhir, "503")
        await made.until_settled()
        assert {row.state for row in made.rows()} == {WritebackState.ACKNOWLEDGED}
        assert fhir.resources.records.connections == {"0": ["in", "out"]}


async def test_nothing_of_a_token_or_a_patient_is_in_the_log_or_a_row(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        fhir.resources.records.put("0")
        fhir.resources.backend.random_token = lambda _bytes: "a-token-to-look-for"
        [visit] = made.visits(1)
        made.add(visit, channel=FHIR)
        after(fhir, "ok", "422")
        await made.until_settled()
        everything = made.log.read_text() + repr(made.rows())
        assert "a-token-to-look-for" not in everything
        assert "Patient/" not in everything


async def test_both_keys_are_published_while_one_replaces_the_other(tmp_path: Path) -> None:
    async with web_bench(tmp_path) as (made, _):
        first = (tmp_path / "fhir.key").read_bytes()
        environment = made.loaded.configuration.environments["prod"]
        fhir = environment.writeback.fhir
        assert fhir is not None
        private = ec.generate_private_key(ec.SECP384R1())
        (tmp_path / "next.key").write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        auth = fhir.auth.model_copy(update={"other_key_file": tmp_path / "next.key"})
        section = environment.writeback.model_copy(update={"fhir": fhir.model_copy(update={"auth": auth})})
        environments = {"prod": environment.model_copy(update={"writeback": section})}
        both = replace(
            made.loaded, configuration=made.loaded.configuration.model_copy(update={"environments": environments})
        )
        shown = published_keys(both)["keys"]
        assert shown[0]["kid"] == read_client_key(first, "ES384").key_id
        assert len({key["kid"] for key in shown}) == 2
        assert not any("d" in key for key in shown)
        (tmp_path / "fhir.key").write_bytes(b"")
        assert published_keys(both)["keys"] == shown[1:]


@pytest.mark.parametrize(
    ("before", "ask", "state", "code", "after_it"),
    [
        ("booked", True, WritebackState.ACKNOWLEDGED, None, "cancelled"),
        ("cancelled", True, WritebackState.ACKNOWLEDGED, "ALREADY", "cancelled"),
        ("fulfilled", True, WritebackState.REFUSED, "APPOINTMENT_STATE", "fulfilled"),
        ("booked", False, WritebackState.REFUSED, "NO_MESSAGE", "booked"),
    ],
)
async def test_oracle_health_cancels_only_where_it_is_asked(
    tmp_path: Path, before: str, ask: bool, state: WritebackState, code: str | None, after_it: str
) -> None:
    async with web_bench(tmp_path) as (made, fhir):
        oracle = FhirMap.model_validate(YAML(typ="safe").load(ORACLE_HEALTH.read_text("utf-8")))
        made.loaded = replace(made.loaded, fhir_maps={"prod": oracle})
        fhir.resources.records.put("0", status=before)
        [visit] = made.visits(1)
        made.add(visit, WritebackEvent.CANNOT_COME, channel=FHIR, ask=ask)
        await made.until_settled()
        assert (last(made)[0], last(made)[2]) == (state, code)
        assert fhir.resources.records.appointments["0"]["status"] == after_it
