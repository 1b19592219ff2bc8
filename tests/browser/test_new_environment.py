"""B2, B11, B12: an environment from nothing to approved, by two people: with a pointer, by keyboard alone, without JavaScript."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Final

import pytest

from simulator.fhir.server import FhirSimulator, running_fhir_simulator
from tests.browser.conftest import PORTAL, OpenWindow
from tests.browser.hands import Hands, Keyboard, Pointer
from tests.browser.site import Site, serving
from tests.story.folder import VECTORS, make

WAYS: Final[dict[str, tuple[type[Pointer] | type[Keyboard], str, dict[str, Any]]]] = {
    "b2-pointer": (Pointer, "11-ec-p256.cer", {}),
    "b11-keyboard": (Keyboard, "12-ed25519.cer", {}),
    "b12-no-script": (Pointer, "13-ca-issued-leaf.cer", {"java_script_enabled": False}),
}
"""Name -> who works the pages, the certificate of the environment that is added, and how the browser is set."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with serving(make(tmp_path_factory.mktemp("new") / "clinic", PORTAL), reloads=True) as site:
        yield site


@pytest.fixture(scope="module")
def ehr(portal: Site) -> Iterator[FhirSimulator]:
    with running_fhir_simulator(FhirSimulator(clock=portal.clinic.clock.now)) as simulator:
        yield simulator


@pytest.mark.parametrize("way", WAYS)
def test_from_a_name_to_approved(portal: Site, ehr: FhirSimulator, window_of: OpenWindow, way: str) -> None:
    make_hands, certificate, settings = WAYS[way]
    kim, dana = (make_hands(window_of(portal, login, **settings)) for login in ("kim", "dana"))
    dana.window.watch.origins.add(ehr.origin)
    name = way.partition("-")[2]
    _add(kim, name, ehr.base_url, certificate)
    _save(kim, by_link=not settings.get("java_script_enabled", True))
    _approve(dana, name)
    assert portal.clinic.service.loaded.configuration.environments[name].approval.approvers == ["dana"]


def _add(kim: Hands, name: str, fhir_base_url: str, certificate: str) -> None:
    """The six steps. A mistake in the first one costs nothing that was typed."""
    window = kim.window
    window.open("/")
    kim.follow("Environments")
    kim.press("Add an environment")
    kim.fill("Name", "test")
    kim.mark("Test")
    kim.press("Continue")
    assert window.errors == ["There is an environment by this name. Choose another one."]
    assert window.value("Time zone") == "America/Los_Angeles"
    kim.fill("Name", name)
    kim.choose("EHR", "Oracle Health")
    kim.press("Continue")

    kim.fill("FHIR base URL", fhir_base_url)
    kim.press("Check")
    assert "FHIR 4.0.1 · Epic" in window.words
    kim.press("Continue")

    kim.choose("Who approves this configuration?", "Dana Bright (dana)")
    kim.fill("Client id in the EHR", "carebell")
    kim.press("Continue")

    kim.fill("Port", str(_free_port()))
    kim.fill("MSH-4 sending facilities allowed", name.upper())
    kim.fill("MSH-5 receiving application", "APPTSMS")
    kim.fill("MSH-6 receiving facility", name.upper())
    kim.upload("Upload certificate (.cer)", VECTORS / "certs" / "accept" / certificate)
    kim.press("Continue")

    kim.mark("Carebell may send SMS notifications to patients on behalf of Lamna Healthcare.")
    kim.mark("I will make sure that attendees have agreed to send and receive SMS messages.")
    kim.fill("Another number", "+14255550100")
    kim.fill("Add numbers", "+1 202 555 0143")
    kim.press("Continue")
    assert window.heading == "Add an environment: Check your answers"
    for words in (name, fhir_base_url, "Dana Bright", "carebell", "***0143"):
        assert words in window.words
    kim.press("Preview the new environment")


def _save(kim: Hands, *, by_link: bool) -> None:
    """What comes by itself where scripts run comes by a link where they do not."""
    kim.fill("Why (optional)", "the clinic in the east opens")
    kim.press("Save")
    while by_link and "in force since" not in kim.window.words:
        kim.follow("Look again")
    kim.window.until("in force since")


def _approve(dana: Hands, name: str) -> None:
    window = dana.window
    window.open("/")
    dana.follow("Environments")
    dana.follow(name)
    dana.follow("Approval")
    dana.press("Prove it by signing in")
    dana.press("Sign in to the EHR")
    dana.press("Sign in as Dana Analyst")
    assert window.heading == "Access is proved"
    dana.press(f"Go to the approval of {name}")
    dana.press("Approve this configuration")
    assert "Approved. Texts that waited for it leave within seconds" in window.words
    dana.follow("Integration records")
    assert window.heading == f"Integration records of {name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
