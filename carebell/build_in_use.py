"""Whether this Carebell runs from the compiled wheel or as plain Python."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Literal


def build_in_use() -> Literal["compiled", "pure Python"]:
    """By a module that the compiled wheel compiles; nothing of it is executed."""
    spec = find_spec("parser.er7")
    assert spec is not None
    return "compiled" if (spec.origin or "").endswith(tuple(EXTENSION_SUFFIXES)) else "pure Python"
