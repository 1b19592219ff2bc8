"""Print what was there, what somebody wants and what is there now, where carebell.yaml was changed in the meantime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from carebell.commands.output import print_json, print_sentence
from carebell.configuring.redacted import redacted_file
from config.line_diff import Side, shown, three_way
from journal.lines import plain

_MARKS: Final = {Side.ALL: "", Side.BASE: "base", Side.YOURS: "yours", Side.THEIRS: "theirs", Side.BOTH: "both"}


def print_conflict(path: Path, base: bytes, yours: bytes, theirs: bytes, *, as_json: bool) -> None:
    """Lines that differ, with some around them; without telephone numbers and passwords.

    Args:
        base: what was edited. yours: the edited text. theirs: what the file holds now.
    """
    texts = (redacted_file(path, content, os.environ).text for content in (base, yours, theirs))
    for line in shown(three_way(*texts)):
        if as_json:
            print_json({"side": line.side.value, "line": line.number, "text": line.text, "left_out": line.left_out})
        elif line.text is None:
            print_sentence(f"        ({line.left_out} lines that are the same)")
        else:
            print(f"{_MARKS[line.side]:<6}  {plain(line.text)}")
