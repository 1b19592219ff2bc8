"""One person's window at the portal, in the words of its pages: labels, buttons, links, headings, tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.browser import accessibility
from tests.browser.watch import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Response


@dataclass
class Window:
    """Attributes:
    url: of the portal.
    watch: what went wrong beside what the test looks for.
    """

    page: Page
    url: str
    watch: Watch

    # Going somewhere

    def open(self, path: str) -> int:
        """Go to a page by its address; the status of the answer."""
        answer: Response | None = self.page.goto(self.url + path)
        return 0 if answer is None else answer.status

    def follow(self, link: str, *, exact: bool = True) -> None:
        self.page.get_by_role("link", name=link, exact=exact).first.click()

    def press(self, button: str) -> None:
        """Press a button by its words, and wait for the page that it leads to."""
        self.page.get_by_role("button", name=button, exact=True).first.click()

    # What stands there

    @property
    def path(self) -> str:
        return self.page.url.removeprefix(self.url)

    @property
    def title(self) -> str:
        return self.page.title()

    @property
    def heading(self) -> str:
        return self.page.locator("h1").inner_text().strip()

    @property
    def words(self) -> str:
        """The content's text, white space made one."""
        return " ".join(self.page.locator("main").inner_text().split())

    @property
    def errors(self) -> list[str]:
        """What stands under "There is a problem"."""
        return [text.strip() for text in self.page.locator("[data-error-summary] li").all_inner_texts()]

    def field(self, label: str) -> Locator:
        return self.page.get_by_label(label, exact=True).first

    def value(self, label: str) -> str:
        return self.field(label).input_value()

    def fill(self, label: str, value: str) -> None:
        self.field(label).fill(value)

    def choose(self, label: str, option: str) -> None:
        """Choose in a list, or one of several buttons, by its words."""
        field = self.field(label)
        if field.evaluate("element => element.tagName") == "SELECT":
            field.select_option(label=option)
        else:
            self.field(option).check()

    def tick(self, label: str, ticked: bool = True) -> None:
        self.field(label).set_checked(ticked)

    def table(self, caption: str) -> list[list[str]]:
        """The rows of a table without its head, each a list of its cells' words."""
        table = self.page.locator(
            "table", has=self.page.locator("caption", has_text=re.compile(f"^{re.escape(caption)}"))
        )
        rows: list[list[str]] = table.first.locator("tbody tr").evaluate_all(
            "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"
        )
        return rows

    def until(self, words: str) -> None:
        """Wait until these words stand in the content."""
        self.page.locator("main", has_text=words).wait_for()

    # How it is made

    def flaws(self) -> list[str]:
        """What is wrong with the page for some people: see `accessibility`."""
        return [
            *accessibility.violations(self.page),
            *(f"scrolls sideways: {element}" for element in accessibility.sideways(self.page)),
            *(f"small: {target}" for target in accessibility.small_targets(self.page)),
        ]
