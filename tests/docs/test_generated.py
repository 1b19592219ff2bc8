"""Every generated page is what the code says now, and leaves nothing out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from config.load import FIELD_MAPS
from config.model import Configuration
from docs.generate import BEGIN, BLOCKS, DOCS, END, MAN_PAGE, MARK, PAGES, main, with_block
from docs.tables import faults, messages, texts
from docs.tables.examples import EXAMPLES
from journal.events import ENTRIES
from notifier.gateways import CODE_TABLES
from parser.parse_warnings import Oddity
from parser.siu import EVENTS
from scheduler.sms import Reason
from tests.carebell.command_table import LEAVES
from tests.docs.test_pages import is_a_call


@pytest.mark.parametrize("page", PAGES)
def test_a_generated_page_is_current(page: str) -> None:
    """`make docs` writes it again."""
    assert (DOCS / page).read_text("utf-8") == MARK + PAGES[page]().rstrip() + "\n"


@pytest.mark.parametrize(("page", "block"), BLOCKS)
def test_a_generated_block_is_current(page: str, block: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert with_block(text, block, BLOCKS[page, block]()) == text


def test_nothing_would_change(capsys: pytest.CaptureFixture[str]) -> None:
    assert (main(["--check"]), capsys.readouterr().out) == (0, "")


def test_every_reason_and_every_gateway_with_codes_has_its_words() -> None:
    assert set(texts.REASONS) == set(Reason)
    assert set(texts.GATEWAYS) == set(CODE_TABLES)
    assert [line for table in CODE_TABLES.values() for line in table.values() if not line.meaning] == []


def test_every_shipped_field_map_has_its_column() -> None:
    assert set(messages.MAPS) == {path.stem for path in FIELD_MAPS.glob("*.yaml")}


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("reference/events.md", list(EVENTS)),
        ("reference/warnings.md", [oddity.value for oddity in Oddity]),
        ("reference/log-events.md", [entry.name for entry in ENTRIES.values()]),
        ("reference/configuration.md", list(Configuration.model_fields)),
    ],
)
def test_a_page_names_everything(page: str, names: list[str]) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert [name for name in names if f"| `{name}` |" not in text] == []


def test_the_command_line_page_shows_every_command() -> None:
    text = (DOCS / "reference" / "cli.md").read_text("utf-8")
    for command in ("init", "demo", "serve", "cert show", "sign", "verify", "send", "optout add", "keys rotate"):
        assert f"## `carebell {command}`" in text


def test_the_reference_and_the_man_page_show_each_command_with_an_example() -> None:
    named = {words for words, _ in LEAVES}
    assert set(EXAMPLES) == named
    assert [call for calls in EXAMPLES.values() for call in calls if not is_a_call(call)] == []
    pages = [(DOCS / "reference" / "cli.md").read_text("utf-8"), MAN_PAGE.read_text("utf-8").replace("\\-", "-")]
    for page in pages:
        assert [call for calls in EXAMPLES.values() for call in calls if call not in page] == []
    for words, command in LEAVES:
        section = pages[1].partition(f".SS carebell {words} ")[2].partition(".SS ")[0]
        options = {
            option
            for parameter in command.params
            for option in parameter.opts
            if option.startswith("--") and not getattr(parameter, "hidden", False)
        }
        assert [option for option in options - {"--help"} if option not in section] == [], words


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed here")
def test_groff_reads_the_man_page_without_a_warning() -> None:
    words = ["groff", "-man", "-ww", "-z", str(MAN_PAGE)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_table_of_faults_is_read_from_a_run(tmp_path: Path) -> None:
    kept = {"id": "F1", "fault": "kill -9 under load", "promise": "nothing lost", "asked": "500 kills", "rounds": "500",
            "seen": "lost: 0", "verdict": "kept", "why": "", "when": "2026-03-02"}  # fmt: skip
    skipped = kept | {"id": "F3", "rounds": "0", "seen": "", "verdict": "skipped", "why": "no compiler"}
    results = tmp_path / "faults.json"
    results.write_text(json.dumps({"machine": "two cores", "faults": [kept, skipped]}), "utf-8")
    table = faults.seen(results)
    assert "Run on two cores." in table
    assert "| `F1` | kill -9 under load | nothing lost | 500 kills | 500 | lost: 0 | kept | 2026-03-02 |" in table
    assert "| 0 |  | skipped: no compiler | 2026-03-02 |" in table


def test_without_a_run_the_table_says_so(tmp_path: Path) -> None:
    assert "No full run is recorded yet" in faults.seen(tmp_path / "faults.json")


def test_a_block_is_replaced_between_its_markers() -> None:
    begin, end = BEGIN.format(name="x"), END.format(name="x")
    assert with_block(f"above\n{begin}old\n{end}below\n", "x", "new") == f"above\n{begin}\nnew\n\n{end}below\n"


@pytest.mark.parametrize("page", ["none", BEGIN.format(name="x"), END.format(name="x") + BEGIN.format(name="x")])
def test_a_page_without_its_markers_is_an_error(page: str) -> None:
    with pytest.raises(ValueError, match="the page needs one block"):
        with_block(page, "x", "new")
