"""What the device test says to a patient: a sentence for each step and code, for each browser where it differs. All words are here.

A row's key is `step.code`; its value is one sentence, or one for each browser: `family place`, `family`, `place` or `""` for all
others, the first that fits. `portal/join/static/device-test.js` shows the sentence of the code that a step ends with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from portal.join.browsers import PatientBrowser
from scheduler.device_test import FAILURES, OK, DeviceTestStep

Sentences = str | Mapping[str, str]

TITLES: Final[Mapping[DeviceTestStep, str]] = {
    DeviceTestStep.BROWSER: "Browser",
    DeviceTestStep.CAMERA: "Camera",
    DeviceTestStep.MICROPHONE: "Microphone",
    DeviceTestStep.SPEAKER: "Loudspeaker",
    DeviceTestStep.CONNECTION: "Connection",
    DeviceTestStep.CALL: "Test call",
}
TO_DO: Final[Mapping[DeviceTestStep, str]] = {
    DeviceTestStep.BROWSER: "Nothing to do: we look whether this browser can make video calls.",
    DeviceTestStep.CAMERA: "Press the button. If the browser asks whether it may use the camera, press Allow.",
    DeviceTestStep.MICROPHONE: "Press the button, allow the microphone, and say a sentence. After three seconds you hear it again.",
    DeviceTestStep.SPEAKER: "Turn the sound on, press the button, and listen.",
    DeviceTestStep.CONNECTION: "Nothing to do: we measure how fast your connection is.",
    DeviceTestStep.CALL: "Nothing to do for ten seconds: your device calls itself.",
}
_ALLOW: Final = {
    "safari iphone": "Tap aA or the page symbol in the address bar, then Website Settings, and set {device} to Allow.",
    "chrome iphone": "Open the iPhone's Settings, Apps, Chrome, and switch {device} on.",
    "firefox iphone": "Open the iPhone's Settings, Apps, Firefox, and switch {device} on.",
    "edge iphone": "Open the iPhone's Settings, Apps, Edge, and switch {device} on.",
    "chrome android": "Tap the symbol left of the address, then Permissions, and allow {device}.",
    "edge android": "Tap the lock left of the address, then Permissions, and allow {device}.",
    "samsung": "Tap the lock left of the address, then Permissions, and allow {device}.",
    "firefox android": "Tap the lock left of the address, then Edit permissions, and allow {device}.",
    "chrome": "Click the symbol left of the address, and switch {device} on.",
    "edge": "Click the lock left of the address, then Permissions for this site, and allow {device}.",
    "firefox": "Click the crossed-out {device} symbol left of the address, and remove the block.",
    "safari": "Choose Safari, Settings for This Website in the menu, and set {device} to Allow.",
    "": "Look into the browser's settings for this site, and allow {device}.",
}
_OPEN_ELSEWHERE: Final = {
    "iphone": "This window belongs to another app, which cannot use the camera. Open the link in Safari.",
    "android": "This window belongs to another app, which cannot use the camera. Open the link in Chrome.",
    "": "This window belongs to another app, which cannot use the camera. Open the link in a browser.",
}


def _capture(name: str) -> dict[str, Sentences]:
    """The words of camera and microphone, which fail alike."""
    capital = name.capitalize()
    blocked = f"Your browser blocked the {name}. "
    return {
        f"{name}.blocked": {
            browser: blocked + way.format(device=capital) + " Then test again." for browser, way in _ALLOW.items()
        },
        f"{name}.none": f"No {name} was found. If yours is a separate one, plug it in, then test again.",
        f"{name}.in_use": f"Another program uses the {name}. Close other video programs and windows, then test again.",
        f"{name}.unsuited": f"The {name} offers nothing that this browser can use. Try another browser or another device.",
        f"{name}.insecure": f"This page may not use the {name}. That is our fault, not yours, and we were told. Please call us.",
        f"{name}.failed": f"The {name} could not be opened. Restart the device, then test again.",
    }


_TOO_OLD: Final[Sentences] = {
    "iphone": "This browser is too old for video visits. Update the iPhone under Settings, General, Software Update.",
    "": "This browser is too old for video visits. Update it, or use another one.",
}
SENTENCES: Final[Mapping[str, Sentences]] = {
    "browser.ok": "This browser can make video calls.",
    "browser.insecure": "This page did not come by a secure way. That is our fault, not yours, and we were told. Please call us.",
    "browser.in_app": _OPEN_ELSEWHERE,
    "browser.no_camera_access": _TOO_OLD,
    "browser.no_calls": _TOO_OLD,
    "camera.ok": "The camera works.",
    **_capture("camera"),
    "camera.no_picture": "The camera was opened and gave no picture. Open its cover, restart the device, then test again.",
    "microphone.ok": "The microphone works.",
    **_capture("microphone"),
    "microphone.silent": "The microphone gave no sound. See that it is not muted and speak louder, then test again.",
    "speaker.ok": "You heard the tone.",
    "speaker.not_heard": {
        "iphone": "Turn the sound up with the buttons at the side, switch silent mode off, take headphones off, then test again.",
        "": "Turn the sound up, see that no other loudspeaker or headphones are chosen, then test again.",
    },
    "speaker.failed": "The browser could not play the tone. Close other windows with sound, then test again.",
    "connection.ok": "The connection is good enough for video.",
    "connection.unreachable": "Our server did not answer. Move nearer to the Wi-Fi, or use mobile data, then test again.",
    "connection.busy": "Too many people test at this moment. Wait a minute, then test again.",
    "connection.slow": "The connection is slow. Move nearer to the Wi-Fi, close downloads and films, then test again.",
    "connection.no_relay": "Your network blocks video calls. Use mobile data or another Wi-Fi, and switch a VPN off.",
    "call.ok": "The test call was good.",
    "call.failed": "The test call did not come about. Use another network, and switch a VPN off, then test again.",
    "call.poor": "Picture or sound was lost on the way. Move nearer to the Wi-Fi, close downloads and films, then test again.",
    "call.skipped": "Without a camera or a microphone there is nothing to call with.",
}


def words_for(browser: PatientBrowser) -> dict[str, str]:
    """`step.code` -> the sentence for this browser."""
    asked = (f"{browser.family} {browser.place}", browser.family, browser.place, "")
    return {
        key: row if isinstance(row, str) else next(row[name] for name in asked if name in row)
        for key, row in SENTENCES.items()
    }


def missing() -> set[str]:
    """Codes without a sentence, and sentences without a code; empty, as a test says."""
    codes = {f"{step.value}.{code}" for step in DeviceTestStep for code in (OK, *FAILURES[step])}
    return codes ^ SENTENCES.keys()
