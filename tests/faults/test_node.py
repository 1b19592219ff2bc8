"""The harness itself: waiting for a line of a node ends, whatever the node says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.node import Node

_CHATTER = """
import itertools, time
print("listening: production 127.0.0.1:2575", flush=True)
for number in itertools.count():
    print("still here", number, flush=True)
    time.sleep(0.001)
"""


def test_a_node_that_says_only_other_things_is_not_waited_for_without_end(tmp_path: Path) -> None:
    node = Node(tmp_path / "carebell.yaml", program=(sys.executable, "-c", _CHATTER))
    node.wait_for("still here")
    with pytest.raises(AssertionError, match=r"no line 'worker started' in time.*still here"):
        node.wait_for("worker started", within=0.2)
    assert node.running
