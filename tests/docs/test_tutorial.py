"""The tutorial's own commands, run as they stand on the page up to the point where a service is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate import DOCS

BLOCK = re.compile(r"```(bash|text)\n(.*?)```", re.DOTALL)


def _script() -> str:
    """Every bash block, and from the text blocks the lines after a `$ `."""
    page = (DOCS / "tutorial" / "first-message.md").read_text("utf-8").split("## 5.")[0]
    lines = ["set -euo pipefail"]
    for language, block in BLOCK.findall(page):
        lines += [block] if language == "bash" else [line[2:] for line in block.splitlines() if line.startswith("$ ")]
    return "\n".join(lines)


def test_the_tutorial_leads_to_a_message_that_would_be_accepted(tmp_path: Path) -> None:
    absent = [program for program in ("bash", "openssl") if shutil.which(program) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed here")
    ours = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{ours}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "160"}
    environment.pop("CAREBELL_CONFIG", None)
    done = subprocess.run(
        ["bash", "-c", _script()],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^certs/production\.cer: accept$", done.stdout, re.MULTILINE)
    assert re.search(r"signed\.hl7 +AA ", done.stdout)
    assert re.search(r"goes +booking\n +booked: ", done.stdout)
    assert "2025550143" not in done.stdout + done.stderr
