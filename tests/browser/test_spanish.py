"""A patient whose texts are Spanish, in a browser that is English: the waiting room and the device test, scripts and all."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import pytest

from config.page_words import built_in_page_words
from tests.browser.conftest import NARROW, watched_page
from tests.browser.patients import PatientsSite, serving_patients
from tests.browser.watch import Watch
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PATIENCE: Final = 90_000
ENGLISH: Final = {
    text for text in built_in_page_words()["en"].values() if isinstance(text, str) and " " in text and "{" not in text
}


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PatientsSite]:
    folder = tmp_path_factory.mktemp("spanish") / "clinic"
    with serving_patients(folder, language="spa", device_test={"enabled": True}) as site:
        yield site


@pytest.fixture
def patient(browser: Browser, patients: PatientsSite) -> Iterator[Window]:
    watch = Watch(origins={patients.url})
    with watched_page(browser, watch, **NARROW) as page:
        yield Window(page=page, url=patients.url, watch=watch)
    assert watch.problems == []


def _english(window: Window) -> set[str]:
    """English on the page, what is hidden and for scripts too."""
    content = window.page.content()
    return {phrase for phrase in ENGLISH if phrase in content}


def test_the_waiting_room(patient: Window, patients: PatientsSite) -> None:
    patient.open(f"/j/{patients.token}")
    patient.until("Está en la sala de espera. Su equipo médico le dará paso.")
    assert patient.page.locator("html").get_attribute("lang") == "es"
    assert patient.title == "Su visita"
    assert _english(patient) == set()
    assert patient.flaws() == []
    patient.page.get_by_role("button", name="Cámara").click()
    patient.page.locator("video").wait_for(state="visible")
    patient.page.evaluate(
        """() => {
          navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("x", "NotAllowedError"); };
          window.fetch = async () => { throw new TypeError("x"); };
        }"""
    )
    patient.page.get_by_role("button", name="Micrófono").click()
    patient.until("Micrófono: El navegador no lo permite.")
    patient.until("Se perdió la conexión.")


def test_the_device_test(patient: Window, patients: PatientsSite) -> None:
    patient.open(f"/j/{patients.token}/test")
    for button in ("Empezar la prueba", "Probar la cámara", "Probar el micrófono", "Tocar el tono", "Sí, lo oí"):
        patient.page.get_by_role("button", name=button, exact=True).click(timeout=PATIENCE)
    patient.page.locator("[data-end]").wait_for(timeout=PATIENCE)
    patient.until("Su dispositivo está listo para la visita. Su equipo médico ve el resultado.")
    numbers = dict.fromkeys(("camera", "connection", "call"), "")
    for step in numbers:
        numbers[step] = patient.page.locator(f'[data-step="{step}"] [data-numbers]').inner_text()
    assert re.fullmatch(r"[0-9]+ × [0-9]+ puntos, [0-9]+ imágenes por segundo\.", numbers["camera"])
    speed = r"Ida y vuelta: [0-9]+ ms; bajada: [0-9]+\.[0-9] Mbit/s; subida: [0-9]+\.[0-9] Mbit/s\."
    assert re.match(speed, numbers["connection"]), numbers
    assert re.match(r"Pérdida: [0-9]+\.[0-9] %; variación: [0-9]+ ms; ", numbers["call"]), numbers
    assert all("{" not in said and "undefined" not in said for said in numbers.values())
    assert _english(patient) == set()
    assert patient.flaws() == []
