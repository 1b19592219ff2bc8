"""For every test: no property is judged by the time an example takes, which says more about the machine than about the code.

The files with long tests come first (`make test` keeps this order): begun last, they would keep one process busy while the
others have nothing left to do.

Twelve thousand tests are some million objects in each process. They live to the end, so no collection of garbage looks at them:
that took a fifth of the time in which the tests are read.
"""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("carebell", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("carebell")


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A long test is one that was given more time than the others."""
    usual = float(config.getini("timeout"))
    long = {item.path for item in items if _time_limit(item, usual) > usual}
    items.sort(key=lambda item: item.path not in long)


def _time_limit(item: pytest.Item, usual: float) -> float:
    """Seconds."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker is not None else usual
