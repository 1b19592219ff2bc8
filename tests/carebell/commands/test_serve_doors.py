"""`serve` opens the staff's pages where the configuration has them, and says where they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from carebell.bootstrap.service import Service
from carebell.bootstrap.signals import ServeSignals
from tests.carebell.conftest import Carebell
from tests.story.folder import change


@pytest.fixture
def serves_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` ends as soon as it has started, and leaves this process's signals alone."""
    start = Service.start

    async def start_and_end(service: Service) -> None:
        await start(service)
        service.asked_to_end("SIGTERM")

    monkeypatch.setattr(Service, "start", start_and_end)
    monkeypatch.setattr(ServeSignals, "install", lambda _: None)
    monkeypatch.setattr(ServeSignals, "limit_end", lambda _: None)


@pytest.mark.usefixtures("serves_once")
@pytest.mark.parametrize(
    ("portal", "url"),
    [
        ({"enabled": True, "port": 0, "public_url": "https://carebell.example.org"}, "https://carebell.example.org"),
        ({"enabled": True, "port": 0}, "http://127.0.0.1:"),
        ({"enabled": False}, None),
    ],
    ids=["behind a proxy", "on this machine", "off"],
)
def test_the_address_is_announced(
    carebell: Carebell, configuration: Path, portal: dict[str, object], url: str | None
) -> None:
    change(configuration, {"portal": portal})
    [row] = carebell("-c", configuration, "--json", "serve").rows
    printed = carebell("-c", configuration, "serve").out
    if url is None:
        assert row["portal"] is None
        assert "portal" not in printed
    else:
        assert row["portal"].startswith(url)
        assert f"carebell: portal: {url}" in printed
