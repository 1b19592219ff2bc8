"""Foreign MLLP clients against `carebell serve`: they get our answers, and read them with their own parsers.

python-hl7's `mllp_send` reads its answer with one `recv`; node-hl7-client, simple-hl7 and @medplum/hl7 come from npm, at the
versions of package-lock.json, into a cache beside the system's temporary files.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import hl7
import pytest

from tests.faults.node import Node
from tests.interop.npm import installed
from tests.story.ehr import signed, unsigned
from tests.story.folder import make

pytestmark = pytest.mark.interop

HERE = Path(__file__).parent
NODE_CLIENTS = ("simple-hl7", "@medplum/hl7", "node-hl7-client")
PATIENCE = 240.0
"""Seconds for an installation or a client; after them it is taken for hung."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    node = Node(make(tmp_path_factory.mktemp("foreign") / "clinic"), roles="listener")
    yield node
    assert node.stop() == 0


@pytest.fixture
def messages(tmp_path: Path) -> dict[str, Path]:
    """Name -> file: a signed booking, the same bytes again, one in another mode, a signed change, and one unsigned."""
    now = datetime.now(UTC)
    visit = now + timedelta(days=9)
    run = hashlib.sha256(str(tmp_path).encode()).hexdigest()[:8]  # control ids of this test alone
    booked = signed("S12", f"{run}1", sent=now, start=visit, reference=run, note="Größe ñ \\F\\ 東京")
    contents = {
        "booked": booked,
        "again": booked,
        "enhanced": signed("S14", f"{run}2", sent=now, start=visit, reference=run, accept="AL"),
        "moved": signed("S13", f"{run}3", sent=now, start=visit + timedelta(hours=1), reference=run),
        "unsigned": unsigned("S12", f"{run}4", sent=now, start=visit, reference=run),
    }
    for name, content in contents.items():
        (tmp_path / f"{name}.hl7").write_bytes(content)
    return {name: tmp_path / f"{name}.hl7" for name in contents}


def _control_id(file: Path) -> str:
    return file.read_bytes().split(b"|")[9].decode()


WANTED = {
    "booked": ("AA", ""),
    "again": ("AA", ""),
    "enhanced": ("CA", ""),
    "moved": ("AA", ""),
    "unsigned": ("AR", "SIG01"),
}
TYPES = {"booked": "S12", "again": "S12", "enhanced": "S14", "moved": "S13", "unsigned": "S12"}


def test_python_hl7_mllp_send(service: Node, messages: dict[str, Path], tmp_path: Path) -> None:
    blocks = tmp_path / "all.mllp"
    blocks.write_bytes(b"".join(b"\x0b" + file.read_bytes() + b"\x1c\r" for file in messages.values()))
    program = Path(sys.executable).with_name("mllp_send")
    done = subprocess.run(
        [program, "--port", str(service.port), "--file", blocks, "127.0.0.1"],
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    answers = [
        hl7.parse(block.removeprefix(b"\x0b"), encoding="utf-8") for block in done.stdout.split(b"\x1c\r\n") if block
    ]
    assert [str(ack["MSA.F1"]) for ack in answers] == [WANTED[name][0] for name in messages]
    assert [str(ack["MSA.F2"]) for ack in answers] == [_control_id(file) for file in messages.values()]
    assert [str(ack.segment("MSH")[9]) for ack in answers] == [f"ACK^{TYPES[name]}^ACK" for name in messages]
    assert str(answers[-1]["MSA.F3"]).startswith("SIG01")
    assert str(answers[-1]["ERR.F5"]).startswith("SIG01")


@pytest.fixture(scope="module")
def modules() -> Path:
    """A folder with the pinned clients in node_modules."""
    return installed()


@pytest.mark.parametrize("client", NODE_CLIENTS)
def test_a_client_from_npm(client: str, modules: Path, service: Node, messages: dict[str, Path]) -> None:
    done = subprocess.run(
        ["node", HERE / "node_clients.cjs", client, str(service.port), *messages.values()],
        cwd=modules,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["code"] for answer in answers] == [WANTED[name][0] for name in messages]
    assert [answer["control_id"] for answer in answers] == [_control_id(file) for file in messages.values()]
    assert [answer["text"].split(" ")[0] for answer in answers] == [WANTED[name][1] for name in messages]
    assert [answer["type"].replace(",", "^") for answer in answers] == [f"ACK^{TYPES[name]}^ACK" for name in messages]
