"""What the documentation's pictures show is there, on every screen and in both schemes, without a flaw and without a patient."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from tests.browser.scenes import SCENES
from tests.browser.screenshots import picture_sites, scene_window
from tests.browser.site import Site
from tests.browser.test_pages import CANARIES

if TYPE_CHECKING:
    from playwright.sync_api import Browser

HEADINGS: Final = {
    "overview": "Overview",
    "why": "Why no text?",
    "sms-notifications": "SMS notifications of production",
    "preview": "What this change does",
    "sms-report": "SMS notifications",
    "new-environment": "Add an environment: Feed",
    "approval": "Approval of production",
    "records": "Integration records of production",
}
SAYS: Final = {
    "why": "the patient asked for no more texts",
    "preview": "2 visits get no reminder any more: 48h before has passed already",
    "approval": "Access was proved: by a signed message",
    "records": "2 characters differ",
}


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[bool, Site]]:
    folder = tmp_path_factory.mktemp("pictures")
    with picture_sites(folder) as both:
        yield both


@pytest.mark.parametrize("name", SCENES)
def test_a_scene(browser: Browser, sites: dict[bool, Site], name: str) -> None:
    scene = SCENES[name]
    site = sites[scene.approving]
    with scene_window(browser, site, scene) as window:
        scene.go(site, window)
        assert window.heading == HEADINGS[name]
        assert SAYS.get(name, "") in window.words
        assert CANARIES.findall(window.page.content()) == []
        assert window.flaws() == []
        window.page.set_viewport_size({"width": 320, "height": 640})
        window.page.emulate_media(color_scheme="dark")
        assert window.flaws() == []
        assert window.watch.problems == []
