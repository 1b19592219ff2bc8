"""What pages make of the product's sentences."""

from __future__ import annotations

from portal.rendering import with_code


def test_what_stands_between_backticks_is_code() -> None:
    assert with_code("Look at `carebell outbox`, then run `carebell release`.") == (
        "Look at <code>carebell outbox</code>, then run <code>carebell release</code>."
    )


def test_a_sentence_stays_a_sentence() -> None:
    assert with_code("`<b>`, a name, and one ` alone") == "<code>&lt;b&gt;</code>, a name, and one ` alone"
