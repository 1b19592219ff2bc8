"""What the device test says to a patient: a sentence for each step and code, for each browser where it differs. Pure.

The words stand with the other words of these pages (`config.page_words`): the section of a step has its `title`, `to_do` and
`button`, and a text for each code. `portal/join/static/device-test.js` shows the sentence of the code that a step ends with.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from portal.join.browsers import PatientBrowser
from portal.join.words import PageWords
from scheduler.device_test import FAILURES, OK, DeviceTestStep


def steps_for(words: PageWords) -> list[Mapping[str, str]]:
    """Each step's name and heading, what to do, and its button; "" where there is none to press."""
    return [
        {
            "name": step.value,
            "title": words.say(f"{step.value}.title"),
            "to_do": words.say(f"{step.value}.to_do"),
            "button": words.say(f"{step.value}.button") if f"{step.value}.button" in words.texts else "",
        }
        for step in DeviceTestStep
    ]


def sentences_for(words: PageWords, browser: PatientBrowser) -> dict[str, str]:
    """`step.code` -> the sentence for this browser; and `says.…`: what the test says as it goes on."""
    family = () if browser.family == "other" else (f"{browser.family} {browser.place}", browser.family)
    variants = (*family, browser.place)
    says = {f"says.{key}": text for key, text in words.section("says").items()}
    return {code: _sentence(words, code, variants) for code in sorted(codes())} | says


def codes() -> Collection[str]:
    """Every `step.code` that a step may end with."""
    return {f"{step.value}.{code}" for step in DeviceTestStep for code in (OK, *FAILURES[step])}


def _sentence(words: PageWords, code: str, variants: tuple[str, ...]) -> str:
    sentence = words.among(code, variants)
    device = code.partition(".")[0]
    if f"allow.{device}" not in words.texts:
        return sentence
    how = words.among("allow.how", variants).format(device=words.say(f"allow.{device}"))
    return sentence.format(allow=how)
