"""The table of docs/explanation/promises.md: what `make faults` saw, from benchmarks/results/faults.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from docs.tables.markdown import code, table

RESULTS: Final = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"


def seen(results: Path = RESULTS) -> str:
    """The table, or the sentence that there is none yet.

    The file is `{"when": ISO 8601, "machine": text, "faults": [{"id": "F1", "fault": text, "rounds": number, "held": number,
    "seen": text}]}`; KeyError or ValueError where it is not.
    """
    if not results.exists():
        return "No full run is recorded yet: `make faults` runs the rounds and writes this table.\n"
    run = json.loads(results.read_text("utf-8"))
    rows = [
        (code(each["id"]), each["fault"], str(each["rounds"]), str(each["held"]), each["seen"])
        for each in run["faults"]
    ]
    return f"Run of {run['when']} on {run['machine']}.\n\n{table(['#', 'fault', 'rounds', 'held', 'seen'], rows)}"
