"""What the pictures of the documentation show: pages of the clinic's week, walked to as people walk there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.browser.clinic_week import NOW, SILENT_VISIT
from tests.browser.site import Site
from tests.browser.window import Window
from tests.story.ehr import signed
from tests.story.folder import Changes

APPROVING: Final[Changes] = {
    "environments": {"production": {"approval": {"required": True, "approvers": ["dana"], "check": "offline"}}}
}
"""Of the second site, where production's texts wait for an approver."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Attributes:
    login: who looks.
    go: leads a window to what is shown.
    height: of the desktop's picture, CSS pixels.
    approving: on the site where an approval is needed.
    narrow: it is shown on a small telephone too.
    narrow_top: a selector of what stands at the top there; "": the page begins there.
    """

    login: str
    go: Callable[[Site, Window], None]
    height: int
    approving: bool = False
    narrow: bool = False
    narrow_top: str = ""


def _overview(site: Site, window: Window) -> None:
    window.open("/")


def _why(site: Site, window: Window) -> None:
    window.open("/why")
    window.fill("Appointment number or telephone number", SILENT_VISIT)
    window.press("Find out why")
    window.page.locator("main section").first.wait_for()


def _sms(site: Site, window: Window) -> None:
    window.open("/environments/production/sms")


def _preview(site: Site, window: Window) -> None:
    """The reminder of a day before becomes one of two days before."""
    window.open("/environments/production/sms")
    second = window.page.get_by_role("group", name="Reminder 2")
    second.get_by_label("Before the visit").fill("48")
    window.page.get_by_role("button", name="Preview the change", exact=True).last.click()
    window.page.get_by_role("heading", name="What this change does").wait_for()


def _report(site: Site, window: Window) -> None:
    window.open("/reports/sms?from=2026-03-04&to=2026-03-10")


def _feed_step(site: Site, window: Window) -> None:
    """A new environment, up to its fourth step."""
    window.open("/environments/new")
    window.fill("Name", "east-clinic")
    window.page.get_by_role("radio", name="Production").check()
    window.press("Continue")
    window.fill("FHIR base URL", "https://east.lamnahealthcare.example/fhir/api/FHIR/R4")
    window.press("Continue")
    window.choose("Who approves this configuration?", "Dana Bright (dana)")
    window.press("Continue")
    window.fill("Port", "2577")
    window.fill("MSH-4 sending facilities allowed", "LAMNAEAST")
    window.fill("MSH-5 receiving application", "APPTSMS")
    window.fill("MSH-6 receiving facility", "LAMNAEAST")


def prove_access(site: Site, window: Window) -> None:
    """The signed message with the approver's code has come, so access is proved."""
    window.open("/environments/production/approval")
    code = window.page.locator("#code").inner_text()
    start = NOW + timedelta(days=9)
    content = signed("S12", code, sent=NOW, start=start, reference="4791", phone="+12025550191")
    site.run(site.clinic.send(content))
    window.open("/environments/production/approval")


def _records(site: Site, window: Window) -> None:
    """Approved; one letter of a value is another one in the EHR."""
    prove_access(site, window)
    window.press("Approve this configuration")
    window.open("/environments/production/records")
    thumbprint = window.page.locator("#sms_configuration-thumbprint_1").inner_text()
    window.choose("Record", "SMS configuration record")
    window.fill("What stands in the EHR", thumbprint.replace("I", "l", 1))
    window.press("Compare")
    window.page.get_by_role("status").first.wait_for()


SCENES: Final[Mapping[str, Scene]] = {
    "overview": Scene(login="kim", go=_overview, height=764, narrow=True),
    "why": Scene(login="sam", go=_why, height=900, narrow=True, narrow_top="main section"),
    "sms-notifications": Scene(login="kim", go=_sms, height=840, narrow=True, narrow_top="#telephone"),
    "preview": Scene(login="kim", go=_preview, height=900),
    "sms-report": Scene(login="avery", go=_report, height=1210),
    "new-environment": Scene(login="kim", go=_feed_step, height=900),
    "approval": Scene(login="dana", go=prove_access, approving=True, height=760),
    "records": Scene(login="dana", go=_records, approving=True, height=800),
}
"""Name of the picture's file -> what it shows."""
