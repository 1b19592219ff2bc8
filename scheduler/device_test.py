"""The patients' device test: its steps, and the codes that each can end with; pure.

A result is a code for each step, and the browser's family and version: no names of devices, no addresses, nothing that was seen or
heard. Steps and codes stand in the database, the log, the interfaces and on the staff's pages: they never change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

OK: Final = "ok"


class DeviceTestStep(StrEnum):
    """The steps, in their order."""

    BROWSER = "browser"
    CAMERA = "camera"
    MICROPHONE = "microphone"
    SPEAKER = "speaker"
    CONNECTION = "connection"
    CALL = "call"


_CAPTURE: Final = {
    "blocked": "the browser does not allow it",
    "none": "none was found",
    "in_use": "another program uses it",
    "unsuited": "it offers nothing that a browser can use",
    "insecure": "the page may not ask for it: our own setting, not the patient's",
    "failed": "it could not be opened",
}
FAILURES: Final[Mapping[DeviceTestStep, Mapping[str, str]]] = {
    DeviceTestStep.BROWSER: {
        "insecure": "the page did not come by https: our own setting, not the patient's",
        "in_app": "the link was opened inside another app, which has no camera access",
        "no_camera_access": "the browser is too old for a camera",
        "no_calls": "the browser is too old for calls",
    },
    DeviceTestStep.CAMERA: {**_CAPTURE, "no_picture": "it was opened and gave no picture"},
    DeviceTestStep.MICROPHONE: {**_CAPTURE, "silent": "it was opened and gave no sound"},
    DeviceTestStep.SPEAKER: {"not_heard": "the patient did not hear the tone", "failed": "no tone could be played"},
    DeviceTestStep.CONNECTION: {
        "unreachable": "our server could not be reached",
        "busy": "too many tests ran at the same time",
        "slow": "too slow for video",
        "no_relay": "the relay (TURN) could not be reached",
    },
    DeviceTestStep.CALL: {
        "failed": "no call came about",
        "poor": "sound or picture was lost, or came late",
        "skipped": "there was neither camera nor microphone to try it with",
    },
}
"""Step -> code of what failed -> what it means, for staff."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceTest:
    """One run of the test.

    Attributes:
        at: when it ended, UTC.
        results: step -> `ok`, or the code of what failed; steps that were not reached are absent.
        browser: family and major version, such as `chrome 126`; None: unknown.
    """

    at: datetime
    results: Mapping[DeviceTestStep, str]
    browser: str | None

    @property
    def words(self) -> str:
        """See `result_words`."""
        return result_words({step.value: code for step, code in self.results.items()})


def result_words(results: Mapping[str, str]) -> str:
    """`passed`, `not finished` (not every step was reached), or what failed: `camera blocked, microphone in use`."""
    failed = [f"{step} {code.replace('_', ' ')}" for step, code in results.items() if code != OK]
    return ", ".join(failed) or ("passed" if len(results) == len(DeviceTestStep) else "not finished")


def read_results(written: object) -> dict[DeviceTestStep, str]:
    """What a page said, in the order of the steps.

    Raises:
        ValueError: it is not a mapping of steps to their codes, or names no step at all.
    """
    if not isinstance(written, Mapping) or not written:
        raise ValueError("names no step")
    if unknown := written.keys() - {step.value for step in DeviceTestStep}:
        raise ValueError(f"names {len(unknown)} unknown steps")
    results = {step: written[step.value] for step in DeviceTestStep if step.value in written}
    for step, code in results.items():
        if not isinstance(code, str) or (code != OK and code not in FAILURES[step]):
            raise ValueError(f"has no code for {step.value}")
    return results
