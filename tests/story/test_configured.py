"""What an environment's configuration changes at the socket: shared ports, TLS, modes of answering, reused control ids, reloads."""

from __future__ import annotations

import asyncio
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from listener.client import MllpClient, SendError
from listener.framing import frame
from listener.tls import client_context
from tests.listener.certificates import Pair
from tests.listener.certificates import make as make_pair
from tests.story.clinic import Ack, opened
from tests.story.ehr import signed, unsigned
from tests.story.folder import CLOCK, VECTORS, change, make, sign

VISIT = datetime(2026, 3, 20, 21, 0, tzinfo=UTC)
TRIAL = {"facility": "LAMNATST", "processing_id": "T"}


async def test_two_environments_share_a_port_and_the_certificate_tells_them_apart(tmp_path: Path) -> None:
    host = _own_loopback()
    listener = {"host": host, "port": 2575}
    path = make(tmp_path, {"environments": {"production": {"listener": listener}, "test": {"listener": listener}}})
    async with opened(path) as clinic:
        [(port, number)] = clinic.service.ports
        assert (port.environments, number) == (("production", "test"), 2575)
        client = await MllpClient.connect(host, number)
        for content in (
            signed("S12", "1", sent=CLOCK, start=VISIT),
            signed("S12", "1", sent=CLOCK, start=VISIT, **TRIAL),
            # Production's header under the test system's key, and the other way round.
            sign(
                unsigned("S12", "2", sent=CLOCK, start=VISIT),
                key="test-rsa2048",
                certificate="accept/09-test-rsa2048.cer",
            ),
            sign(unsigned("S12", "2", sent=CLOCK, start=VISIT, **TRIAL)),
        ):
            await client.send(content)
        await client.close()
        said = [
            (line["event"], line["environment"], line.get("code")) for line in clinic.events() if "control_id" in line
        ]
        assert said == [
            ("message_accepted", "production", None),
            ("message_accepted", "test", None),
            ("message_refused", "test", "SIG08"),
            ("message_refused", "production", "SIG08"),
        ]


def _own_loopback() -> str:
    """An address of 127/8 that no other test process has: a shared port needs a number, and 0 is none."""
    process = os.getpid()
    return f"127.{1 + (process >> 16) % 250}.{(process >> 8) % 256}.{2 + process % 250}"


# Mutual TLS


@pytest.fixture
def server(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "carebell.example")


@pytest.fixture
def engine(tmp_path: Path) -> Pair:
    return make_pair(tmp_path, "engine.example")


def _mutual(folder: Path, server: Pair, engine: Pair) -> Path:
    path = make(folder)
    (folder / "certs" / "engine.cer").write_bytes(engine.pem)
    server.key_file.chmod(0o400)
    change(
        path,
        {
            "environments": {
                "production": {
                    "authentication": "mutual-tls",
                    "certificates": ["certs/engine.cer"],
                    "listener": {"tls": {"certificate": server.certificate_file.name, "key": server.key_file.name}},
                }
            }
        },
    )
    return path


def _showing(server: Pair, shown: Pair | None) -> ssl.SSLContext:
    if shown is None:
        return client_context(anchors=[server.pem])
    return client_context(anchors=[server.pem], certificate=shown.certificate_file, key=shown.key_file)


async def test_mutual_tls_takes_the_connections_certificate_for_a_signature(
    tmp_path: Path, server: Pair, engine: Pair
) -> None:
    now = datetime.now(UTC)  # these certificates are valid now
    async with opened(_mutual(tmp_path, server, engine), at=now) as clinic:
        client = await clinic.connect(tls=_showing(server, engine))
        content = unsigned("S12", "1", sent=now, start=now + timedelta(days=9))
        first = Ack((await client.send(content)).content)
        again = Ack((await client.send(content)).content)
        elsewhere = Ack((await client.send(unsigned("S12", "2", sent=now, start=VISIT, **TRIAL))).content)
        # A signature is optional here, but what is there must hold: nobody knows this key in this environment.
        stranger = Ack((await client.send(signed("S12", "3", sent=now, start=VISIT))).content)
        await client.close()
        assert [ack.code for ack in (first, again)] == ["AA", "AA"]
        assert [(ack.code, ack.failure) for ack in (elsewhere, stranger)] == [("AR", "SIG08"), ("AR", "SIG05")]
        assert clinic.counts()["appointments"] == 1


async def test_mutual_tls_lets_nobody_else_through(tmp_path: Path, server: Pair, engine: Pair) -> None:
    now = datetime.now(UTC)
    stranger = make_pair(tmp_path, "stranger.example")
    authority = make_pair(tmp_path, "authority.example", authority=True)
    of_other_authority = make_pair(tmp_path, "elsewhere.example", issuer=authority)
    content = unsigned("S12", "1", sent=now, start=now + timedelta(days=9))
    async with opened(_mutual(tmp_path, server, engine), at=now) as clinic:
        before = clinic.counts()
        for shown in (stranger, of_other_authority, None):
            with pytest.raises(SendError):
                await clinic.send_over(_showing(server, shown), content)
        with pytest.raises(SendError):
            await clinic.send(content)
        assert clinic.counts() == before
        # Support sees whose certificate it was, and from where.
        keys = ("reason", "thumbprint", "environment", "peer")
        refused = {tuple(line.get(key) for key in keys) for line in clinic.events("connection_refused")}
        assert refused == {
            ("client_certificate_refused", stranger.thumbprint[:8], "production", "127.0.0.1"),
            ("client_certificate_refused", of_other_authority.thumbprint[:8], "production", "127.0.0.1"),
            ("no_client_certificate", None, "production", "127.0.0.1"),
            ("tls_failed", None, "production", "127.0.0.1"),
        }
        counted = {
            sample.labels["reason"]: sample.value
            for metric in clinic.service.metrics.connections_refused.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }
        assert counted == {"client_certificate_refused": 2, "no_client_certificate": 1, "tls_failed": 1}


async def test_mutual_tls_judges_the_certificates_dates_at_receipt(tmp_path: Path, server: Pair) -> None:
    expired = make_pair(tmp_path, "expired.example", expired=True)
    now = datetime.now(UTC)
    async with opened(_mutual(tmp_path, server, expired), at=now) as clinic:
        content = unsigned("S12", "1", sent=now, start=now + timedelta(days=9))
        ack = await clinic.send_over(_showing(server, expired), content)
        assert (ack.code, ack.failure) == ("AR", "SIG06")
        [line] = clinic.events("message_refused")
        assert (line["code"], line["thumbprint"], line["peer"]) == ("SIG06", expired.thumbprint[:8], "127.0.0.1")
        assert (line["environment"], line["listener"]) == ("production", "127.0.0.1:0")
        assert clinic.service.metrics.signature_failures() == {"production": 1}


# Answers


@pytest.mark.parametrize(("honour", "answered"), [(False, ["1", "2"]), (True, ["2"])])
async def test_ne_is_answered_unless_it_is_honoured(honour: bool, answered: list[str], tmp_path: Path) -> None:
    async with opened(make(tmp_path, {"environments": {"production": {"honour_ne": honour}}})) as clinic:
        client = await clinic.connect()
        blocks = [
            frame(signed("S12", control_id, sent=CLOCK, start=VISIT, reference=control_id, accept=accept))
            for control_id, accept in (("1", "NE"), ("2", "AL"))
        ]
        # Both in one write; answers come in order, so that of 2 tells whether 1 had one.
        first = client.submit_block(b"".join(blocks))
        rest = [client.submit_block(b"") for _ in answered[1:]]
        acks = [Ack((await answer).content) for answer in (first, *rest)]
        await client.close()
        assert [ack.control_id for ack in acks] == answered
        assert {ack.code for ack in acks} <= {"AA", "CA"}
        assert clinic.counts()["appointments"] == 2


async def test_a_reused_control_id_is_refused_or_let_through_with_a_warning(tmp_path: Path) -> None:
    changes = {"environments": {"test": {"reuse_of_control_id": "warn"}}}
    async with opened(make(tmp_path, changes)) as clinic:
        for environment, more in (("production", {}), ("test", TRIAL)):
            first = signed("S12", "1", sent=CLOCK, start=VISIT, **more)
            other = signed("S13", "1", sent=CLOCK, start=VISIT + timedelta(hours=1), **more)
            acks = await clinic.send(first, other, other, environment=environment)
            acks += await clinic.send(first, environment=environment)  # the older content is no news either
            wanted = ["AA", "AR", "AR", "AA"] if environment == "production" else ["AA", "AA", "AA", "AA"]
            assert [ack.code for ack in acks] == wanted
            assert acks[1].failure == ("SIG10" if environment == "production" else "-")
        assert [line["environment"] for line in clinic.events("control_id_reused")] == ["test"]
        assert [line["revision"] for line in clinic.events("message_accepted")] == [1, 1, 2]
        assert len(clinic.events("message_repeated")) == 3


async def test_tls_on_the_plain_http_port_is_one_line_of_our_own(tmp_path: Path) -> None:
    async with opened(make(tmp_path, {"http": {"enabled": True, "port": 0}})) as clinic:
        assert clinic.service.http is not None
        for _ in range(2):
            with pytest.raises(ConnectionError):
                await asyncio.open_connection(
                    *clinic.service.http, ssl=ssl.create_default_context(), server_hostname="x"
                )
        [line] = clinic.events("http_closed")
        assert (line["level"], line["reason"], line["peer"]) == ("warning", "tls", "127.0.0.1")
        assert clinic.events("library") == []


# Reload


async def test_a_wrong_change_keeps_the_old_configuration_and_a_right_one_plans_anew(tmp_path: Path) -> None:
    path = make(tmp_path)
    sms = {"reminders": [{"before": "48h"}]}
    async with opened(path, reloads=True) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT))
        waiting = [(kind, rule) for kind, rule, state, _ in clinic.outbox() if state == "due"]
        assert waiting == [("booked", "scheduled"), ("reminder", "7d@10:00"), ("reminder", "24h")]
        change(path, {"environments": {"production": {"sms": {"reminder": [{"before": "48h"}]}}}})
        await clinic.until(lambda: bool(clinic.events("configuration_refused")))
        [refused] = clinic.events("configuration_refused")
        assert "reminder" in refused["problem"]
        assert clinic.outbox() == [(kind, rule, "due", kind) for kind, rule in waiting]
        [still] = await clinic.send(signed("S12", "2", sent=CLOCK, start=VISIT, reference="A2"))
        assert still.code == "AA"
        change(path, {"environments": {"production": {"sms": {"reminder": None} | sms}}})
        await clinic.until(lambda: len(clinic.events("replanned")) == 2)
        assert [(kind, rule) for kind, rule, state, _ in clinic.outbox("900100") if state == "due"] == [
            ("booked", "scheduled"),
            ("reminder", "48h"),
        ]
        left = await clinic.pass_to(VISIT)
        assert sorted((text["kind"], text["appointment"]) for text in left) == [
            ("booked", "900100"), ("booked", "A2"), ("reminder", "900100"), ("reminder", "A2"),
        ]  # fmt: skip


async def test_a_replanning_that_fails_is_told_and_made_up_for_and_later_changes_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)
    async with opened(path, reloads=True) as clinic:
        await clinic.send(signed("S12", "1", sent=CLOCK, start=VISIT))
        with monkeypatch.context() as broken:
            broken.setattr("carebell.bootstrap.reload.replan_environment", _fail)
            change(path, {"environments": {"production": {"sms": {"reminders": [{"before": "48h"}]}}}})
            await clinic.until(lambda: bool(clinic.events("internal_error")))
        assert [line["where"] for line in clinic.events("internal_error")] == ["reload"]
        clinic.service.reload()  # SIGHUP, and nothing has changed since
        await clinic.until(lambda: len(clinic.events("replanned")) == 2)
        assert [rule for kind, rule, state, _ in clinic.outbox() if (kind, state) == ("reminder", "due")] == ["48h"]


def _fail(*_: object) -> None:
    raise RuntimeError("the database went away")


async def test_a_certificate_can_be_exchanged_while_messages_come(tmp_path: Path) -> None:
    path = make(tmp_path, production=("accept/01-prod-rsa3072.cer",))
    next_one = {"key": "prod-next-rsa3072", "certificate": "accept/10-prod-next-rsa3072.cer"}
    async with opened(path, reloads=True) as clinic:
        content = unsigned("S12", "1", sent=CLOCK, start=VISIT)
        [unknown] = await clinic.send(sign(content, **next_one))
        assert (unknown.code, unknown.failure) == ("AR", "SIG05")
        make(tmp_path, production=("accept/10-prod-next-rsa3072.cer",))
        await clinic.until(lambda: bool(clinic.events("configuration_changed")))
        [known, retired] = await clinic.send(sign(content, **next_one), sign(content))
        assert (known.code, retired.code, retired.failure) == ("AA", "AR", "SIG05")


async def test_a_certificate_replaced_in_place_counts_at_once(tmp_path: Path) -> None:
    path = make(tmp_path, production=("accept/01-prod-rsa3072.cer",))
    async with opened(path, reloads=True) as clinic:
        old = signed("S12", "OLD1", sent=CLOCK, start=VISIT)
        assert (await clinic.send(old))[0].code == "AA"
        (tmp_path / "certs" / "01-prod-rsa3072.cer").write_bytes(
            (VECTORS / "certs" / "accept" / "10-prod-next-rsa3072.cer").read_bytes()
        )
        await clinic.until(lambda: len(clinic.events("certificate_rotated")) == 1)
        refused = (await clinic.send(signed("S12", "OLD2", sent=CLOCK, start=VISIT)))[0]
        assert (refused.code, refused.failure) == ("AR", "SIG05")


async def test_leaving_a_shared_port_takes_its_certificates_along(tmp_path: Path) -> None:
    host = _own_loopback()
    port = {"listener": {"host": host, "port": 2575}}
    path = make(tmp_path, {"environments": {"production": port, "test": port}})
    async with opened(path, reloads=True) as clinic:

        async def send(content: bytes) -> Ack:
            client = await MllpClient.connect(host, 2575)
            try:
                return Ack((await client.send(content)).content)
            finally:
                await client.close()

        assert (await send(signed("S12", "T1", sent=CLOCK, start=VISIT, **TRIAL))).code == "AA"
        change(path, {"environments": {"test": {"enabled": False}}})
        await clinic.until(lambda: len(clinic.events("configuration_changed")) == 1)
        refused = await send(signed("S12", "T2", sent=CLOCK, start=VISIT, **TRIAL))
        assert (refused.code, refused.failure) == ("AR", "DISABLED")
        assert (await send(signed("S12", "P1", sent=CLOCK, start=VISIT))).code == "AA"


async def test_a_port_whose_only_environment_is_switched_off_says_so_until_it_closes(tmp_path: Path) -> None:
    """It stays open until a restart; its sender hears why nothing is taken, instead of a refused connection."""
    host = _own_loopback()
    path = make(
        tmp_path,
        {
            "environments": {
                "production": {"listener": {"host": host, "port": 2575}},
                "test": {"listener": {"host": host, "port": 2576}},
            }
        },
    )
    async with opened(path, reloads=True) as clinic:
        client = await MllpClient.connect(host, 2576)
        assert Ack((await client.send(signed("S12", "T1", sent=CLOCK, start=VISIT, **TRIAL))).content).code == "AA"
        change(path, {"environments": {"test": {"enabled": False}}})
        await clinic.until(lambda: len(clinic.events("configuration_changed")) == 1)
        refused = Ack((await client.send(signed("S12", "T2", sent=CLOCK, start=VISIT, **TRIAL))).content)
        assert (refused.code, refused.failure) == ("AR", "DISABLED")
        stranger = Ack((await client.send(signed("S12", "P1", sent=CLOCK, start=VISIT))).content)
        assert (stranger.code, stranger.failure) == ("AR", "SIG05")
        await client.close()
    assert clinic.events("internal_error") == []
    refusals = {line["code"]: line.get("environment") for line in clinic.events("message_refused")}
    assert refusals == {"DISABLED": "test", "SIG05": None}
