"""Files that hold many messages, or an FHS/BHS batch: each message comes out with its own bytes."""

from __future__ import annotations

import contextlib
import socketserver
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carebell.commands.batch import BatchError, read_batch
from listener.framing import frame
from tests.carebell.conftest import Carebell, HungUp
from tests.story.folder import VECTORS

BATCH = Path(__file__).parents[2] / "samples/written/batch-fhs-bhs.hl7"
AT = ("--at", (VECTORS / "CLOCK").read_text().strip())
SIGNED = [(VECTORS / f"messages/accept/{name}.hl7").read_bytes() for name in ("m01-rs256-s12", "m06-rotation-next-key")]

_TEXT = st.binary(max_size=12).map(lambda text: bytes(byte for byte in text if byte not in b"\r\n\x0b\x1c"))
_MESSAGE = st.builds(
    lambda end, fields: end.join([b"MSH|^~\\&|A", *(b"NTE|" + field for field in fields)]) + end,
    st.sampled_from([b"\r", b"\n", b"\r\n"]),
    st.lists(_TEXT, max_size=3),
)


def _wrapped(messages: list[bytes], how: str) -> bytes:
    body = b"".join(messages)
    count = str(len(messages)).encode()
    return {
        "one after the other": body,
        "empty lines between": b"\r\n\n".join(messages),
        "batch": b"BHS|^~\\&|A\r" + body + b"BTS|" + count + b"\r",
        "file": b"FHS|^~\\&|A\r\nBHS|^~\\&|A\r\n" + body + b"BTS|" + count + b"\r\nFTS|1\r\n",
        "file without batch": b"FHS|^~\\&|A\n" + body + b"FTS|0\n",
        "without trailers": b"FHS|^~\\&\rBHS|^~\\&\r" + body,
        "two batches": b"FHS|^~\\&\r"
        + b"BHS|^~\\&\r"
        + messages[0]
        + b"BHS|^~\\&\r"
        + b"".join(messages[1:])
        + b"BTS\rFTS|2",
        "two files": b"FHS|^~\\&\r" + messages[0] + b"FTS|0\rFHS|^~\\&\r" + b"".join(messages[1:]),
        "byte-order mark": b"\xef\xbb\xbf" + body,
        "some before the batch": messages[0] + b"BHS|^~\\&\r" + b"".join(messages[1:]) + b"BTS\r",
        "SFT beside the headers": b"FHS|^~\\&\rSFT|x\rBHS|^~\\&\rUAC|x\r" + body,
        "blanks in front": b"  " + b"  ".join(messages),
        "trailer without a header": body + b"BTS|" + count + b"\r",
        "junk in the trailer": b"BHS|^~\\&\r" + body + b"BTS|\xff\xfe^x\r",
    }[how]


WAYS = (
    "one after the other", "empty lines between", "batch", "file", "file without batch", "without trailers", "two batches",
    "two files", "byte-order mark", "some before the batch", "SFT beside the headers", "blanks in front",
    "trailer without a header", "junk in the trailer",
)  # fmt: skip


@given(messages=st.lists(_MESSAGE, min_size=2, max_size=5), how=st.sampled_from(WAYS))
def test_each_message_keeps_its_bytes(messages: list[bytes], how: str) -> None:
    batch = read_batch(_wrapped(messages, how))
    assert batch is not None
    assert [message.rstrip(b"\r\n") for message in batch.messages] == [message.rstrip(b"\r\n") for message in messages]
    assert batch.remarks == ()


@pytest.mark.parametrize(
    "message", [b"", b"MSH|^~\\&|A\rNTE|MSH|x\rNTE|BHS|\r", b"MSHX|\rMSH1|", b"PID|1\r", b"\xff\xfe"]
)
def test_what_is_no_batch_is_left_alone(message: bytes) -> None:
    assert read_batch(message) is None


@given(
    st.binary(max_size=200)
    | st.lists(st.sampled_from([b"MSH|^~\\&|", b"BHS|", b"FHS", b"BTS|9", b"FTS|", b"PID|1", b"\r", b"\n", b" "])).map(
        b"".join
    )
)
def test_nothing_that_a_file_can_hold_is_a_bug(content: bytes) -> None:
    with contextlib.suppress(BatchError):
        batch = read_batch(content)
        assert batch is None or all(message.startswith(b"MSH") for message in batch.messages)


def test_a_trailer_that_counts_otherwise_is_a_remark() -> None:
    batch = read_batch(b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|\rBTS|3\rFTS|2\r")
    assert batch is not None
    assert batch.remarks == ("BTS-1 says 3 messages, there are 1", "FTS-1 says 2 batches, there are 1")


# The commands


@pytest.fixture(params=["bare", "batch", "framed", "batch in a block"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Two signed messages in one file."""
    file = tmp_path / "archive.hl7"
    batch = b"FHS|^~\\&\rBHS|^~\\&\r" + b"".join(SIGNED) + b"BTS|2\rFTS|1\r"
    contents = {
        "bare": b"".join(SIGNED),
        "batch": batch,
        "framed": b"\r\n".join(map(frame, SIGNED)),
        "batch in a block": frame(batch),
    }
    file.write_bytes(contents[request.param])
    return file


def test_explain_plan_and_send(carebell: Carebell, configuration: Path, archive: Path, port: int) -> None:
    explained = carebell("-c", configuration, "explain", "-e", "production", "--json", archive)
    assert explained.code == 0
    assert [(row["file"], row["message"]) for row in explained.rows if row["name"] == "key"] == [
        (str(archive), 1),
        (str(archive), 2),
    ]
    for_people = carebell("-c", configuration, "explain", "-e", "production", archive).out
    assert f"{archive}, message 2: S" in for_people
    planned = carebell("-c", configuration, "plan", "-e", "production", *AT, "--json", archive)
    assert (planned.code, planned.err) == (0, "")
    sent = carebell("send", archive, "--to", f"127.0.0.1:{port}", "--json")
    assert [(row["answer"], row["message"]) for row in sent.rows] == [("AA", 1), ("AA", 2)]


@pytest.mark.parametrize("archive", ["bare", "batch", "framed"], indirect=True)
def test_verify_accepts_each(carebell: Carebell, configuration: Path, archive: Path) -> None:
    """The signatures hold: not a byte was changed."""
    ended = carebell("-c", configuration, "verify", "-e", "production", *AT, "--json", archive)
    assert [(row["file"], row["message"], row["answer"]) for row in ended.rows] == [
        (str(archive), 1, "AA"),
        (str(archive), 2, "AA"),
    ]
    assert ended.code == 0
    assert f"{archive}, message 2" in carebell("-c", configuration, "verify", "-e", "production", *AT, archive).out


@pytest.mark.parametrize("archive", ["batch in a block"], indirect=True)
def test_verify_answers_a_batch_in_a_block_as_the_listener_does(
    carebell: Carebell, configuration: Path, archive: Path
) -> None:
    [row] = carebell("-c", configuration, "verify", "-e", "production", *AT, "--json", archive).rows
    assert (row["code"], row["answer"]) == ("BATCH", "AE")


def test_the_written_batch(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "explain", "-e", "production", "--json", BATCH)
    assert {row["message"] for row in ended.rows} == {1, 2}
    assert "PAT" not in ended.err


@pytest.mark.parametrize("command", ["explain", "plan", "send"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (SIGNED[0] + b"BHS|^~\\&\rPID|1||X\r", "a segment that belongs to no message stands after message 1"),
        (b"BHS|^~\\&\rPID|1||X\r" + SIGNED[0], "a segment that belongs to no message stands before the first message"),
        (SIGNED[0] + b"MSH|^~\\&|\x0b|\r" + SIGNED[1], ", message 2: a second start byte"),
        (frame(SIGNED[0]) + b"\x0b" + SIGNED[1], ", message 2: the block has no end"),
        (frame(SIGNED[0]) + SIGNED[1], ", message 2: not MLLP: HL7 without"),
        (frame(SIGNED[0]) + frame(b"hello"), ", message 2: not an HL7 version 2 message"),
    ],
    ids=["lost MSH", "lost first MSH", "start byte", "no end", "junk", "no HL7"],
)
def test_what_cannot_be_read_is_said_with_the_messages_number(
    carebell: Carebell, configuration: Path, tmp_path: Path, command: str, content: bytes, says: str
) -> None:
    file = tmp_path / "archive.hl7"
    file.write_bytes(content)
    words = ("--to", "127.0.0.1:1") if command == "send" else ("-c", configuration, "-e", "production")
    ended = carebell(command, file, *words)
    assert (ended.code, ended.out) == (1, "")
    assert says in ended.sentence


def test_a_plan_says_which_message_cannot_be_used(carebell: Carebell, configuration: Path, tmp_path: Path) -> None:
    file = tmp_path / "archive.hl7"
    file.write_bytes(SIGNED[0] + SIGNED[0].replace(b"SCH|", b"ZCH|"))
    assert carebell("-c", configuration, "plan", "-e", "production", file).sentence.startswith(f"{file}, message 2: ")


class _Accepting(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the client may be gone
            while byte := self.rfile.read(1):
                if byte == b"\x1c":
                    self.rfile.read(1)
                    self.wfile.write(frame(b"MSH|^~\\&|\rMSA|AA|1\r"))


def test_send_ends_quietly_when_nobody_reads(carebell: Carebell, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", HungUp())
    for connections in ("1", "3"):
        ended = carebell("send", BATCH, "--to", f"127.0.0.1:{port}", "--repeat", "5", "--connections", connections)
        assert (ended.code, ended.err) == (141, "")


@pytest.fixture
def port() -> Iterator[int]:
    """A listener that accepts everything."""
    with socketserver.TCPServer(("127.0.0.1", 0), _Accepting) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()
