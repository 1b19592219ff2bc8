"""B3: every form in which a certificate is uploaded, through the browser's own file input."""

from __future__ import annotations

from typing import Final

from certs.cer import read_upload
from tests.browser.clinic_week import NOW
from tests.browser.conftest import OpenWindow
from tests.browser.site import Site
from tests.story.folder import VECTORS, rows

PAGE: Final = "/environments/test/certificates"


def test_b3_every_form_of_a_certificate(own_site: Site, window_of: OpenWindow) -> None:
    """An accepted one leads to the preview of the change, a refused one to the sentence of `carebell cert show`."""
    dana = window_of(own_site, "dana")
    outcomes: dict[str, str] = {}
    expected: dict[str, str] = {}
    for verdict, file, *_ in rows("certs.tsv"):
        if not (VECTORS / file).exists():  # the one of over 1 MB, which the index only describes
            continue
        dana.open(PAGE)
        dana.page.get_by_label("Certificate (.cer)").set_input_files(VECTORS / file)
        dana.press("Upload certificate")
        dana.page.wait_for_load_state()
        outcomes[file] = "preview" if dana.path.startswith("/configuration/preview/") else "; ".join(dana.errors)
        report = read_upload(VECTORS / file, NOW)
        expected[file] = "preview" if verdict == "accept" else str(report.reason)
    assert len(outcomes) >= 36
    wrong = {file: (outcomes[file], expected[file]) for file in outcomes if outcomes[file] != expected[file]}
    assert wrong == {}
