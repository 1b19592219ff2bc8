"""The table of docs/explanation/promises.md: the results of `make faults`, read from benchmarks/results/faults.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from docs.tables.markdown import code, table

RESULTS: Final = Path(__file__).parents[2] / "benchmarks" / "results" / "faults.json"
_HEADINGS: Final = ("#", "fault", "what must hold", "asked for", "rounds run", "seen", "verdict", "date")


def seen(results: Path = RESULTS) -> str:
    """The table, or a sentence that says that no full run is recorded yet.

    The file is `{"machine": text, "faults": [row, ...]}`, a row of texts `id`, `fault`, `promise`, `asked`, `rounds`, `seen`,
    `verdict`, `why` and `when`; tests/faults/outcomes.py writes it. KeyError or ValueError if it has another form.
    """
    if not results.exists():
        return "No full run is recorded yet: `make faults` runs the rounds and writes this table.\n"
    run = json.loads(results.read_text("utf-8"))
    rows = [
        (
            code(row["id"]),
            row["fault"],
            row["promise"],
            row["asked"],
            row["rounds"],
            row["seen"],
            f"{row['verdict']}: {row['why']}" if row["why"] else row["verdict"],
            row["when"],
        )
        for row in run["faults"]
    ]
    return f"Run on {run['machine']}.\n\n{table(_HEADINGS, rows)}"
