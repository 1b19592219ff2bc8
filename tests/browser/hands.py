"""How somebody fills in a page and goes on: with a pointer, or with the keyboard alone. The same steps are walked by both."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tests.browser.window import Window

if TYPE_CHECKING:
    from playwright.sync_api import Locator

_MOST_STOPS: Final = 150
"""Of the Tab key on one page."""


class Hands(Protocol):
    """What can be done on a page, in its words: labels, options, buttons, links."""

    @property
    def window(self) -> Window: ...
    def fill(self, label: str, value: str) -> None: ...
    def choose(self, label: str, option: str) -> None:
        """In a list."""
        ...

    def mark(self, label: str) -> None:
        """A box, or one of several buttons."""
        ...

    def upload(self, label: str, file: Path) -> None: ...
    def press(self, button: str) -> None: ...
    def follow(self, link: str) -> None: ...


@dataclass(frozen=True)
class Pointer:
    """With a mouse, or a finger."""

    window: Window

    def fill(self, label: str, value: str) -> None:
        self.window.fill(label, value)

    def choose(self, label: str, option: str) -> None:
        self.window.field(label).select_option(label=option)

    def mark(self, label: str) -> None:
        self.window.tick(label)

    def upload(self, label: str, file: Path) -> None:
        self.window.field(label).set_input_files(file)

    def press(self, button: str) -> None:
        with self.window.page.expect_navigation():
            self.window.press(button)

    def follow(self, link: str) -> None:
        with self.window.page.expect_navigation():
            self.window.follow(link)


@dataclass(frozen=True)
class Keyboard:
    """With keys alone: Tab to get there, then what the control is worked with. Nothing is clicked, and no focus is set."""

    window: Window

    def fill(self, label: str, value: str) -> None:
        self._reach(self.window.field(label))
        self._key("Control+A")
        self.window.page.keyboard.type(value)

    def choose(self, label: str, option: str) -> None:
        field = self.window.field(label)
        self._reach(field)
        self._key("Home")
        for _ in range(field.locator("option").count()):
            if field.locator("option:checked").inner_text().strip() == option:
                return
            self._key("ArrowDown")
        raise AssertionError(f"the arrow keys did not come to {option}")

    def mark(self, label: str) -> None:
        field = self.window.field(label)
        if field.get_attribute("type") == "checkbox":
            if not field.is_checked():
                self._reach(field)
                self._key("Space")
            return
        group = self.window.page.locator(f"input[type=radio][name='{field.get_attribute('name')}']")
        self._reach(group, one_of=True)
        for _ in range(group.count()):
            self._key("Space" if not group.and_(self.window.page.locator(":checked")).count() else "ArrowDown")
            if field.is_checked():
                return
        raise AssertionError(f"the arrow keys did not come to {label}")

    def upload(self, label: str, file: Path) -> None:
        self._reach(self.window.field(label))
        with self.window.page.expect_file_chooser() as chooser:
            self._key("Space")  # Enter opens it in some browsers alone
        chooser.value.set_files(file)

    def press(self, button: str) -> None:
        self._go(self.window.page.get_by_role("button", name=button, exact=True))

    def follow(self, link: str) -> None:
        self._go(self.window.page.get_by_role("link", name=link, exact=True))

    def _go(self, control: Locator) -> None:
        self._reach(control.first)
        with self.window.page.expect_navigation():
            self._key("Enter")

    def _reach(self, control: Locator, one_of: bool = False) -> None:
        """Press Tab until it has the focus; `one_of`: one of a group of buttons does."""
        target = control if one_of else control.first
        for _ in range(_MOST_STOPS):
            if target.and_(self.window.page.locator(":focus")).count():
                return
            self._key("Tab")
        raise AssertionError(f"Tab did not come to {control.first.evaluate('element => element.outerHTML')[:120]}")

    def _key(self, key: str) -> None:
        self.window.page.keyboard.press(key)
