"""An older commit is served from its own files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.against import checkout, service_of


def test_checkout_has_the_files_of_the_commit_and_nothing_else(tmp_path: Path) -> None:
    tree = checkout("HEAD", tmp_path / "older")
    assert (tree / "carebell" / "__main__.py").is_file()
    assert not (tree / ".git").exists()


def test_the_service_of_a_checkout_imports_from_it(tmp_path: Path) -> None:
    assert service_of(tmp_path, "older").variables["PYTHONPATH"] == str(tmp_path)
