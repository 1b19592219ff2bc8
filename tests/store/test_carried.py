"""What a browser carries opens whole, for its purpose, under its key file, or not at all."""

from __future__ import annotations

import pytest

from store.carried import carry, opened
from store.keys import new_key_ring


def test_it_opens_for_its_purpose_alone() -> None:
    ring = new_key_ring()
    written = carry(ring, "launch a", "wörds")
    assert opened(ring, "launch a", written) == "wörds"
    assert opened(ring, "launch b", written) is None
    assert opened(new_key_ring(), "launch a", written) is None
    assert carry(ring, "launch a", "wörds") != written


@pytest.mark.parametrize("change", [lambda text: "", lambda text: text[:-4], lambda text: "A" + text[1:], lambda text: "é",
                                    lambda text: text * 200, lambda text: "=" * 20, lambda text: "AAAA"])  # fmt: skip
def test_what_is_not_whole_does_not_open(change: object) -> None:
    ring = new_key_ring()
    written = "B" + carry(ring, "launch", "words")[1:]
    assert callable(change)
    assert opened(ring, "launch", change(written)) is None


def test_too_long_for_a_cookie() -> None:
    with pytest.raises(ValueError, match="longer than"):
        carry(new_key_ring(), "launch", "x" * 4_000)
