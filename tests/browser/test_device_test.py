"""The device test in Chromium, with the browser's own fake camera and microphone, and with what goes wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.browser import accessibility, chromium
from tests.browser.conftest import NARROW, WIDE, watched_page
from tests.browser.patients import PatientsSite, serving_patients
from tests.browser.site import until
from tests.browser.watch import Watch
from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FAKE_DEVICES: Final = "--use-fake-device-for-media-stream"
ALLOWED: Final = "--use-fake-ui-for-media-stream"
BLOCKED: Final = "--use-fake-ui-for-media-stream=deny"
PLAIN: Final = (
    *(argument for argument in chromium.ARGUMENTS if not argument.startswith("--use-fake-")),
    "--autoplay-policy=user-gesture-required",
)
"""Chromium as the other tests have it, without their camera and microphone, and as strict about sound as an iPhone."""
PASSED: Final = dict.fromkeys(("browser", "camera", "microphone", "speaker", "connection", "call"), "ok")
PATIENCE: Final = 90_000
"""Milliseconds after which a test that goes by itself is taken for stuck."""

Visit = Callable[..., Window]


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PatientsSite]:
    folder = tmp_path_factory.mktemp("patients") / "clinic"
    with serving_patients(folder, device_test={"enabled": True}) as site:
        yield site


@pytest.fixture(scope="module")
def far_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PatientsSite]:
    """A clinic with a relay that no network lets through."""
    folder = tmp_path_factory.mktemp("relay") / "clinic"
    folder.mkdir()
    (folder / "turn.secret").write_text("sesame\n", encoding="ascii")
    (folder / "turn.secret").chmod(0o400)
    settings = {"enabled": True, "ice_servers": ["turn:127.0.0.1:9?transport=tcp"], "credential_file": "turn.secret"}
    with serving_patients(folder, device_test=settings) as site:
        yield site


@pytest.fixture
def visit(browser: Browser, patients: PatientsSite) -> Iterator[Visit]:
    """`visit(*arguments, path=..., script=..., **settings)`: the test's page in a Chromium with these further arguments."""
    patients.clinic.clock.move_to(
        patients.clinic.clock.now() + timedelta(seconds=1)
    )  # whose newest result is the newest
    windows: list[Window] = []
    with ExitStack() as stack:

        def opened(
            *arguments: str,
            path: str = "/j/{token}/test",
            script: str = "",
            site: PatientsSite = patients,
            **settings: Any,
        ) -> Window:
            program = browser.browser_type.launch(
                executable_path=chromium.path(), args=[*PLAIN, *arguments], timeout=60_000
            )
            stack.callback(program.close)
            watch = Watch(origins={site.url})
            page = stack.enter_context(watched_page(program, watch, **{**WIDE, **settings}))
            if script:
                page.add_init_script(script)
            window = Window(page=page, url=site.url, watch=watch)
            windows.append(window)
            assert window.open(path.format(token=site.token)) == 200
            return window

        yield opened
        assert [problem for window in windows for problem in window.watch.problems] == []


def _press(window: Window, button: str) -> None:
    """A button that appears in its turn."""
    window.page.get_by_role("button", name=button, exact=True).click(timeout=PATIENCE)


def _walk(window: Window, *, heard: str = "Yes, I heard it") -> None:
    """Every step, to the end."""
    for button in ("Start the test", "Test the camera", "Test the microphone", "Play the tone", heard):
        _press(window, button)
    window.page.locator("[data-end]").wait_for(timeout=PATIENCE)


def _result(window: Window, step: str) -> str:
    return window.page.locator(f'[data-step="{step}"] [data-result]').inner_text()


def _numbers(window: Window, step: str) -> str:
    return window.page.locator(f'[data-step="{step}"] [data-numbers]').inner_text()


def _kept(patients: PatientsSite, before: int) -> dict[str, str]:
    until(lambda: len(patients.tests()) > before)
    return {step.value: code for step, code in patients.tests()[0].results.items()}


def test_everything_works_on_fake_devices(visit: Visit, patients: PatientsSite) -> None:
    before = len(patients.tests())
    window = visit(FAKE_DEVICES, ALLOWED)
    assert accessibility.violations(window.page) == []
    _walk(window)

    assert _kept(patients, before) == PASSED
    assert (patients.tests()[0].browser or "").startswith("chrome ")
    assert re.fullmatch(r"[0-9]+ × [0-9]+ points, [1-9][0-9]* pictures a second\.", _numbers(window, "camera"))
    assert re.match(r"Round trip [0-9]+ ms, [0-9.]+ Mbit/s here, [0-9.]+ Mbit/s back\.", _numbers(window, "connection"))
    call = re.match(
        r"Lost [0-9.]+ %, jitter [0-9]+ ms, round trip [0-9]+ ms, ([0-9]+) pictures", _numbers(window, "call")
    )
    assert call is not None, _numbers(window, "call")
    assert int(call[1]) >= 20, "the fake camera's pictures went through the call"
    assert "Your device is ready for the visit. Your care team sees the result." in window.words
    assert window.page.locator("[data-said]").inner_text().startswith("Your device is ready")
    assert accessibility.violations(window.page) == []
    assert patients.events().count("opened_test") == before + 1
    live = "() => [...document.querySelectorAll('video')].filter(video => video.srcObject).length"
    assert window.page.evaluate(live) == 0, "the camera is off again"


def test_a_blocked_camera_is_said_in_words(visit: Visit, patients: PatientsSite) -> None:
    before = len(patients.tests())
    window = visit(FAKE_DEVICES, BLOCKED)
    _walk(window, heard="No")

    assert "Your browser blocked the camera. Click the symbol left of the address, and switch Camera on." in _result(
        window, "camera"
    )
    assert "Your browser blocked the microphone." in _result(window, "microphone")
    assert "Turn the sound up" in _result(window, "speaker")
    assert _result(window, "call") == "Without a camera or a microphone there is nothing to call with."
    kept = _kept(patients, before)
    assert kept == {
        "browser": "ok", "camera": "blocked", "microphone": "blocked", "speaker": "not_heard", "connection": "ok",
        "call": "skipped",
    }  # fmt: skip
    assert patients.tests()[0].words.startswith("camera blocked, microphone blocked")
    assert accessibility.violations(window.page) == []


def test_without_devices_none_is_found(visit: Visit, patients: PatientsSite) -> None:
    before = len(patients.tests())
    window = visit(ALLOWED)
    _walk(window)
    assert _result(window, "microphone").startswith("No microphone was found.")
    kept = _kept(patients, before)
    assert (kept["camera"], kept["microphone"], kept["call"]) == ("none", "none", "skipped")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("NotReadableError", "Another program uses the camera."),
        ("OverconstrainedError", "The camera offers nothing that this browser can use."),
        ("SecurityError", "This page may not use the camera. That is our fault, not yours"),
        ("TypeError", "The camera could not be opened."),
    ],
)
def test_each_failure_has_its_sentence(visit: Visit, name: str, words: str) -> None:
    script = f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('x', '{name}'); }};"
    window = visit(FAKE_DEVICES, ALLOWED, script=script)
    _press(window, "Start the test")
    _press(window, "Test the camera")
    window.until(words)
    assert window.page.locator("[data-said]").inner_text().startswith(words)


def test_what_a_camera_cannot_give_exactly_is_asked_for_plainly(visit: Visit) -> None:
    script = """
      const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = async (wanted) => {
        if (wanted.video && wanted.video !== true) throw new DOMException("width", "OverconstrainedError");
        return real(wanted);
      };"""
    window = visit(FAKE_DEVICES, ALLOWED, script=script)
    _press(window, "Start the test")
    _press(window, "Test the camera")
    window.until("The camera works.")


def test_a_window_of_another_app_is_told_to_open_a_browser(visit: Visit) -> None:
    inside = (
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
    )
    script = "Object.defineProperty(navigator, 'mediaDevices', {value: undefined});"
    window = visit(script=script, user_agent=inside)
    _press(window, "Start the test")
    window.until("Open the link in Safari.")


def test_a_full_server_is_not_taken_for_a_slow_line(visit: Visit) -> None:
    script = """
      const real = window.fetch.bind(window);
      window.fetch = async (path, options) => path === "/test/down" ? new Response("", {status: 429}) : real(path, options);
      navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("x", "NotFoundError"); };"""
    window = visit(script=script)
    _walk(window)
    assert _result(window, "connection").startswith("Too many people test at this moment.")


def test_a_relay_that_no_network_lets_through_is_named(visit: Visit, far_relay: PatientsSite) -> None:
    window = visit(FAKE_DEVICES, ALLOWED, site=far_relay)
    _walk(window)
    assert _result(window, "connection").startswith("Your network blocks video calls.")
    assert _result(window, "call").startswith("The test call did not come about."), "it never goes another way"
    kept = _kept(far_relay, 0)
    assert (kept["connection"], kept["call"]) == ("no_relay", "failed")
    assert "sesame" not in window.page.content()


def test_who_waits_goes_on_waiting(visit: Visit, patients: PatientsSite) -> None:
    window = visit(path="/j/{token}")
    window.until("You are in the waiting room.")
    window.follow("Test your device")
    with window.page.expect_response(lambda answer: answer.url.endswith("/here")) as answered:
        window.until("You stay in the waiting room while this page is open.")
    assert answered.value.json()["stage"] == "waiting"
    window.follow("Back to your visit")
    window.until("You are in the waiting room.")
    assert "left_lobby" not in patients.events()
    _press(window, "Leave")
    window.until("You are not in the waiting room yet.")


def test_without_a_visit_nothing_is_sent_to_be_kept(visit: Visit, patients: PatientsSite) -> None:
    before = len(patients.tests())
    window = visit(path="/test")
    posted: list[str] = []
    window.page.on("request", lambda request: posted.append(request.url) if request.method == "POST" else None)
    _walk(window)
    assert len(patients.tests()) == before
    assert {url.removeprefix(patients.url) for url in posted} == {"/test/down", "/test/up", "/test/servers"}


@pytest.mark.parametrize("settings", [NARROW, {**NARROW, "color_scheme": "dark"}], ids=["light", "dark"])
def test_it_fits_a_small_telephone_and_the_keyboard(visit: Visit, settings: dict[str, Any]) -> None:
    window = visit(FAKE_DEVICES, ALLOWED, reduced_motion="reduce", **settings)
    assert window.flaws() == []
    assert accessibility.moving(window.page) == []
    window.page.get_by_role("button", name="Start the test").focus()
    window.page.keyboard.press("Enter")
    for button, words in (
        ("Test the camera", "The camera works."),
        ("Test the microphone", "The microphone works."),
        ("Play the tone", "Did you hear it?"),
    ):
        window.page.get_by_role("button", name=button).wait_for()
        focused = window.page.evaluate("() => document.activeElement.innerText")
        assert focused == button
        window.page.keyboard.press("Enter")
        window.until(words)
    assert window.flaws() == []


def test_without_script_the_page_says_what_is_needed(visit: Visit) -> None:
    window = visit(java_script_enabled=False)
    assert "This browser does not run scripts" in window.words
    assert "a telephone, tablet or computer with a camera, a microphone and a loudspeaker" in window.words
    assert "call us: +1 425" in window.words
    assert window.page.get_by_role("button").count() == 0
