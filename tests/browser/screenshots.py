"""`make screenshots`: the pictures of docs/images, of the scenes, light and dark, on a desktop and on a small telephone.

The clock stands still and all data are the clinic's week, so that another run differs only where a page does (or the fonts do).
"""

from __future__ import annotations

import io
import shutil
import socket
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.browser import chromium, clinic_week
from tests.browser.conftest import COOKIE, PORTAL, in_thread, watched_page
from tests.browser.scenes import APPROVING, SCENES, Scene
from tests.browser.site import Site, serving
from tests.browser.watch import Watch
from tests.browser.window import Window
from tests.story.folder import Changes, change

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES: Final = Path(__file__).parents[2] / "docs" / "images"
COLOURS: Final = 128
"""Of a picture's palette: its most frequent ones. The edges of letters take the nearest."""
_DESKTOP_WIDTH: Final = 1200
_NARROW: Final = (320, 640)
"""CSS pixels."""


@contextmanager
def picture_sites(folder: Path) -> Iterator[dict[bool, Site]]:
    """By `Scene.approving`: the portal after the clinic's week, and the same with an approval that production waits for."""
    sites: dict[bool, Path] = {approving: folder / name for approving, name in ((False, "clinic"), (True, "approving"))}
    in_thread(clinic_week.tell(sites[False], PORTAL))
    shutil.copytree(sites[False], sites[True])
    for approving, path in sites.items():
        change(path / "carebell.yaml", {**_reached(), **(APPROVING if approving else {})})
    with (
        serving(sites[False] / "carebell.yaml", reloads=True) as plain,
        serving(sites[True] / "carebell.yaml", reloads=True) as approving_site,
    ):
        yield {False: plain, True: approving_site}


def _reached() -> Changes:
    """A portal that knows its address, so that no page warns of a missing one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"portal": {"enabled": True, "port": port, "public_url": f"http://127.0.0.1:{port}"}}


@contextmanager
def scene_window(browser: Browser, site: Site, scene: Scene) -> Iterator[Window]:
    """A window of who looks at the scene, who asked for no motion: a colour that fades is no colour yet."""
    watch = Watch(origins={site.url})
    size = {"width": _DESKTOP_WIDTH, "height": scene.height}
    with watched_page(browser, watch, viewport=size, reduced_motion="reduce") as page:
        page.context.add_cookies([{"name": COOKIE, "value": site.session(scene.login), "url": site.url}])
        yield Window(page=page, url=site.url, watch=watch)


def pictures_of(page: Page, name: str, scene: Scene) -> Iterator[tuple[str, bytes]]:
    """Each picture of a page that stands at its scene: file name, PNG."""
    yield from _light_and_dark(page, name)
    if scene.narrow:
        page.set_viewport_size({"width": _NARROW[0], "height": _NARROW[1]})
        if scene.narrow_top:
            page.locator(scene.narrow_top).first.evaluate(
                "element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 12)"
            )
        yield from _light_and_dark(page, f"{name}-narrow")


def _light_and_dark(page: Page, name: str) -> Iterator[tuple[str, bytes]]:
    page.evaluate("() => document.activeElement?.blur()")
    page.emulate_media(color_scheme="light")
    yield f"{name}.png", small(page.screenshot(scale="css"))
    page.emulate_media(color_scheme="dark")
    yield f"{name}-dark.png", small(page.screenshot(scale="css"))


def small(png: bytes) -> bytes:
    """The same picture with a palette, as small as PNG has it."""
    from PIL import Image  # only where `make browser` has installed it

    out = io.BytesIO()
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    content = picture.tobytes()
    counted = Counter(content[at : at + 3] for at in range(0, len(content), 3))
    colours = sorted(counted, key=lambda colour: (-counted[colour], colour))[:COLOURS]
    palette = Image.new("P", (1, 1))
    palette.putpalette(b"".join(colours))
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Take them all anew; what is no picture of a scene any more goes."""
    from playwright.sync_api import sync_playwright

    taken: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder, picture_sites(Path(folder)) as sites, sync_playwright() as playwright:
        program = playwright.chromium.launch(executable_path=chromium.path(), args=list(chromium.ARGUMENTS))
        for name, scene in SCENES.items():
            site = sites[scene.approving]
            with scene_window(program, site, scene) as window:
                scene.go(site, window)
                taken |= pictures_of(window.page, name, scene)
        program.close()
    IMAGES.mkdir(exist_ok=True)
    for old in IMAGES.glob("*.png"):
        old.unlink()
    for name, content in taken.items():
        (IMAGES / name).write_bytes(content)
    sys.stdout.write(f"{len(taken)} pictures in docs/images, {sum(map(len, taken.values())) // 1024} KiB\n")


if __name__ == "__main__":
    main()
