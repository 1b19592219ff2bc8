"""A visit's pages have the language of its texts; where no visit is known, that of the browser, which tells nothing of a link."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from config.page_words import built_in_page_words
from scheduler.visit_life import VisitRole
from tests.carebell.patients.room import MINUTE, SAME, START, Clinic, clinic

ENGLISH = {"accept-language": "en-US,en;q=0.9"}
SPANISH = {"accept-language": "es-MX,es;q=0.9,en;q=0.5"}


@pytest.fixture
def day(tmp_path: Path) -> Iterator[Clinic]:
    with clinic(tmp_path / "clinic", device_test={"enabled": True}) as made:
        yield made


def test_a_patient_whose_texts_are_spanish_has_spanish_pages(day: Clinic) -> None:
    day.hear("S12", language="spa")
    token = day.token()
    early = day.client.get(f"/j/{token}", headers=ENGLISH).text
    assert '<html lang="es">' in early
    assert "Fecha de su visita: <strong>jueves, 12 de marzo, 2:00 p.m. (hora del Pacífico)</strong>." in early
    assert "Preguntas: +1 425 555 0100." in early
    test = day.client.get(f"/j/{token}/test", headers=ENGLISH).text
    assert "Pruebe su dispositivo" in test
    assert "Su navegador bloqueó la cámara." in test
    assert "SUMMARY;LANGUAGE=es:Su visita" in day.client.get(f"/j/{token}/visit.ics", headers=ENGLISH).text
    day.service.step(to=START - 10 * MINUTE)
    assert day.here(token)["words"] == "Está en la sala de espera. Su equipo médico le dará paso."
    day.hear("S15", language="spa")
    assert "Esta visita fue cancelada." in day.client.get(f"/j/{token}", headers=ENGLISH).text


def test_the_language_stays_when_the_number_is_forgotten(day: Clinic) -> None:
    day.hear("S12", language="es")
    token = day.token()
    day.service.step(to=START - MINUTE)
    day.here(token)
    day.service.step(to=START + MINUTE)
    day.service.retention.round()
    assert '<html lang="es">' in day.client.get(f"/j/{token}").text


@pytest.mark.parametrize(("fallback", "language"), [("en", "en"), ("es", "es")])
@pytest.mark.parametrize("said", ["", "vie"])
def test_without_words_in_their_language_it_is_that_of_their_texts(
    tmp_path: Path, fallback: str, language: str, said: str
) -> None:
    with clinic(tmp_path / "clinic", sms={"languages": {"fallback": fallback}}) as made:
        made.hear("S12", language=said)
        assert f'<html lang="{language}">' in made.client.get(f"/j/{made.token()}", headers=SPANISH).text


def test_words_of_ones_own_are_a_language_like_any(tmp_path: Path) -> None:
    """French that is English in all but one phrase: what matters is where they come from."""
    folder = tmp_path / "clinic"
    folder.mkdir()
    french = {**built_in_page_words()["en"], "page.title": "Votre visite"}
    sections: dict[str, dict[str, object]] = {}
    for key, text in french.items():
        section, _, name = key.partition(".")
        sections.setdefault(section, {})[name] = text
    (folder / "words.yaml").write_text(json.dumps({"fr": sections}), "utf-8")
    with clinic(folder, join={"words": "words.yaml"}) as made:
        made.hear("S12", language="fra")
        page = made.client.get(f"/j/{made.token()}", headers=ENGLISH).text
    assert '<html lang="fr">' in page
    assert "<title>Votre visite</title>" in page
    assert "jeudi, 12 mars" in page


def test_a_providers_page_is_english_and_their_guests_is_not(day: Clinic) -> None:
    day.hear("S12", language="es")
    provider, guest = day.new_link(VisitRole.PROVIDER), day.new_link(VisitRole.GUEST)
    day.service.step(to=START - 10 * MINUTE)
    assert '<html lang="en">' in day.client.get(f"/j/{provider}", headers=SPANISH).text
    assert '<html lang="es">' in day.client.get(f"/j/{guest}", headers=ENGLISH).text


def test_unknown_and_ended_links_look_alike_in_each_browsers_language(day: Clinic) -> None:
    """I11: the language of the visit that it led to does not show."""
    day.hear("S12", language="es")
    day.hear("S12", language="en", reference="900200")
    spanish, english = day.token(), day.token("900200")
    day.service.step(to=START + timedelta(hours=3))
    bodies = {}
    for name, headers in (("es", SPANISH), ("en", ENGLISH), ("none", {})):
        links = (spanish, english, "z" * 17, "short", spanish + "/test", english + "/visit.ics")
        answers = [day.client.get(f"/j/{link}", headers=headers) for link in links]
        assert {answer.status_code for answer in answers} == {404}
        assert len({answer.content for answer in answers}) == 1
        assert len({tuple(sorted(answer.headers.items())) for answer in answers}) == 1
        bodies[name] = answers[0].text
    assert "Este enlace no lleva a ninguna visita." in bodies["es"]
    assert "This link leads to no visit." in bodies["en"]
    assert bodies["none"] == bodies["en"]


def test_the_test_without_a_visit_and_refusals_have_the_browsers_language(day: Clinic) -> None:
    assert '<html lang="es">' in day.client.get("/test", headers=SPANISH).text
    assert '<html lang="en">' in day.client.get("/test", headers=ENGLISH).text
    day.hear("S12")
    refused = day.client.post(f"/j/{day.token()}/here", data={"device": "d1"}, headers=SPANISH)
    assert (refused.status_code, refused.text) == (403, "Esto no llegó desde una página de este sitio.\n")
    refused = day.client.post(f"/j/{day.token()}/here", data={"device": ""}, headers={**SPANISH, **SAME})
    assert (refused.status_code, refused.text) == (400, "La solicitud no tiene la forma esperada.\n")
    guesses = [day.client.get(f"/j/{'z' * 17}", headers=SPANISH) for _ in range(21)]
    assert (guesses[-1].status_code, guesses[-1].text) == (429, "Demasiadas solicitudes.\n")
