"""The interpreter's build is named by what its `configure` was told, without folders of the machine that built it."""

from __future__ import annotations

import pytest

from benchmarks.interpreter import described, description

NEITHER = "no --enable-optimizations (PGO), no --with-lto"


@pytest.mark.parametrize(
    ("configured", "words"),
    [
        ("'--prefix=/opt/python' '--enable-shared'", f"{NEITHER} (configured --enable-shared)"),
        ("'--enable-optimizations' '--with-lto'", "PGO, LTO"),
        ("'--enable-optimizations' '--with-lto=thin' '--with-computed-gotos'", "PGO, LTO (configured --with-computed-gotos)"),
        ("'--with-lto=no'", NEITHER),
        ("'--with-openssl=/usr/local/ssl'", f"{NEITHER} (configured --with-openssl)"),
        ("", NEITHER),
    ],
)  # fmt: skip
def test_what_configure_was_told(configured: str, words: str) -> None:
    assert description("CPython", "3.12.1", "GCC 13", configured, debug=False) == f"CPython 3.12.1, GCC 13, {words}"


def test_this_one_names_no_folder() -> None:
    assert "/" not in described()
