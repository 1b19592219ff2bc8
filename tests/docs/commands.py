"""The commands of a documentation page, as one bash script, in the order in which a reader meets them.

Commands are every ```bash block, and the lines after `$ ` in a ```text block. A block under the comment
`<!-- not run by the tests: REASON -->` is left out, and counted.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_BLOCK: Final = re.compile(
    r"(?:^[ ]*<!-- not run by the tests: (?P<reason>[^\n]+) -->\n)?"
    r"^(?P<indent>[ ]*)```(?P<language>\w*)\n(?P<body>.*?)^(?P=indent)```",
    re.DOTALL | re.MULTILINE,
)
_PROMPT: Final = "$ "
_SHELLS: Final = ("bash", "sh", "shell", "console")

PRELUDE: Final = r"""
set -euo pipefail
umask 022
pids=()
service=
finish() { for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done; wait; }
trap finish EXIT
in_background() {  # READY WORDS...: start `carebell WORDS`, and wait until it says READY
    local ready=$1 log="$LOGS/${#pids[@]}.log"; shift
    command carebell "$@" > "$log" 2>&1 < /dev/null &
    local pid=$!
    pids+=("$pid")
    until grep -q "$ready" "$log"; do
        kill -0 "$pid" 2>/dev/null || { cat "$log" >&2; exit 97; }
        sleep 0.1
    done
}
stop_service() { [ -z "$service" ] || { kill "$service"; wait "$service" || true; service=; }; }
carebell() {
    case "$*" in
        *--help*) command carebell "$@" ;;
        serve*) stop_service; in_background "service started" "$@"; service=${pids[-1]} ;;
        "simulator twilio"*) in_background "simulated Twilio" "$@" ;;
        *--follow*) in_background "" "$@" ;;
        *) command carebell "$@" ;;
    esac
}
answers() { local code=0 wanted=$1; shift; "$@" || code=$?; [ $code = "$wanted" ] || exit 98; }
"""
"""A service runs beside the script, as it does in the reader's other terminal, and ends with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandBlock:
    """Attributes:
    line: of the page, where the block begins.
    commands: without the prompt.
    not_run: the reason why it is not; None: it is.
    """

    line: int
    commands: str
    not_run: str | None


def blocks(page: str) -> list[CommandBlock]:
    """Every block of a page's text that holds commands."""
    command_blocks = []
    for match in _BLOCK.finditer(page):
        body = textwrap.dedent(match["body"])
        if match["language"] not in _SHELLS:
            prompted = [line.removeprefix(_PROMPT) for line in body.splitlines() if line.startswith(_PROMPT)]
            body = "".join(f"{line}\n" for line in prompted)
        if body.strip():
            line = page[: match.start()].count("\n") + 1
            command_blocks.append(CommandBlock(line=line, commands=body, not_run=match["reason"]))
    return command_blocks


def script(page: str, *, before: Mapping[str, str], refused: Mapping[str, int], ports: Mapping[int, int]) -> str:
    """The page's commands to be run in order.

    Args:
        before: commands of ours, put in before the line that begins so: what the reader did by hand, or on another machine.
        refused: commands (without their comment, continued lines as one) that are refused, as the page says -> exit code.
        ports: the shipped configuration's port -> the one that is free here.
    """
    pending = dict(before)
    lines = [PRELUDE, pending.pop("", "")]
    for block in blocks(page):
        if block.not_run is not None:
            continue
        for line in re.sub(r"\\\n\s*", "", block.commands).splitlines():
            start = next((start for start in pending if line.strip().startswith(start)), None)
            if start is not None:
                lines.append(pending.pop(start))
            bare = re.sub(r"\s+# .*$", "", line)
            line = re.sub(r"^carebell serve\s*&", "carebell serve", line)
            code = refused.get(" ".join(bare.split()))
            lines.append(line if code is None else f"answers {code} {bare}")
    if pending:
        raise ValueError(f"no line of the page begins with {sorted(pending)}")
    text = "\n".join(lines)
    for shipped, free in ports.items():
        text = re.sub(rf"\b127\.0\.0\.1:{shipped}\b", f"127.0.0.1:{free}", text)
    return text
