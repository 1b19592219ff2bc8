"""What goes back over TLS: only to an engine whose certificate is of the authority and has the name that the configuration says."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from config.writeback_settings import WritebackTls
from scheduler.writeback import WritebackState
from tests.carebell.writeback.bench import Bench, bench, configured
from tests.listener.certificates import Pair, make

UNHURRIED: Final = timedelta(seconds=30)
"""No answer is waited for that does not come, so the time costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineCertificates:
    """The engine's certificate, its authority, and an authority that has nothing to do with it."""

    authority: Pair
    stranger: Pair
    engine: Pair

    def server(self, *, asks_for_one: bool = False) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.engine.certificate_file, self.engine.key_file)
        if asks_for_one:
            context.load_verify_locations(self.authority.certificate_file)
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def right(self) -> WritebackTls:
        return WritebackTls(ca=self.authority.certificate_file, server_name="engine.example")

    def of_a_stranger(self) -> WritebackTls:
        return WritebackTls(ca=self.stranger.certificate_file, server_name="engine.example")

    def of_another_name(self) -> WritebackTls:
        return WritebackTls(ca=self.authority.certificate_file, server_name="other.example")


@pytest.fixture
def certificates(tmp_path: Path) -> EngineCertificates:
    authority = make(tmp_path, "authority.example", authority=True)
    return EngineCertificates(
        authority=authority,
        stranger=make(tmp_path, "stranger.example", authority=True),
        engine=make(tmp_path, "engine.example", issuer=authority),
    )


def _port(made: Bench) -> int:
    hl7 = made.loaded.configuration.environments["prod"].writeback.hl7
    assert hl7 is not None
    return hl7.port


async def test_it_arrives_at_the_engine_of_the_authority_and_the_name(
    tmp_path: Path, certificates: EngineCertificates
) -> None:
    server, tls = certificates.server(), certificates.right()
    async with bench(tmp_path, tls_of_engine=server, tls=tls, ack_timeout=UNHURRIED) as made:
        [owner] = made.visits(1)
        own_id = made.add(owner)
        await made.turn()
        assert [message.control_id for message in made.engine.messages] == [own_id]
        assert [(row.state, row.attempts) for row in made.rows()] == [(WritebackState.ACKNOWLEDGED, 1)]


@pytest.mark.parametrize(
    "wrong",
    [EngineCertificates.of_a_stranger, EngineCertificates.of_another_name],
    ids=["another authority", "another name"],
)
async def test_another_engine_gets_nothing_and_the_right_one_gets_it_later(
    tmp_path: Path, certificates: EngineCertificates, wrong: Callable[[EngineCertificates], WritebackTls]
) -> None:
    server = certificates.server()
    async with bench(tmp_path, tls_of_engine=server, tls=wrong(certificates), ack_timeout=UNHURRIED) as made:
        [owner] = made.visits(1)
        own_id = made.add(owner)
        await made.turn()
        [row] = made.rows()
        assert (row.state, row.code, row.attempts) == (WritebackState.DUE, "TLS", 1)
        assert made.engine.messages == []
        assert "writeback_retried" in made.events()
        made.loaded = configured(tmp_path, _port(made), tls=certificates.right(), ack_timeout=UNHURRIED)
        await made.until_settled()
        assert [message.control_id for message in made.engine.messages] == [own_id]
        assert [row.state for row in made.rows()] == [WritebackState.ACKNOWLEDGED]


async def test_an_engine_that_asks_for_a_certificate_takes_ours_and_nothing_without_one(
    tmp_path: Path, certificates: EngineCertificates
) -> None:
    server = certificates.server(asks_for_one=True)
    async with bench(tmp_path, tls_of_engine=server, tls=certificates.right(), ack_timeout=UNHURRIED) as made:
        [owner] = made.visits(1)
        own_id = made.add(owner)
        await made.turn()
        assert [row.state for row in made.rows()] == [WritebackState.DUE]
        assert made.engine.messages == []
        own = make(tmp_path, "carebell.example", issuer=certificates.authority)
        shown = certificates.right().model_copy(update={"certificate": own.certificate_file, "key": own.key_file})
        made.loaded = configured(tmp_path, _port(made), tls=shown, ack_timeout=UNHURRIED)
        await made.until_settled()
        assert [message.control_id for message in made.engine.messages] == [own_id]
        assert [row.state for row in made.rows()] == [WritebackState.ACKNOWLEDGED]
