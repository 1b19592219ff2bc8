"""What a page must never do, whatever a test looks for: complain in the console, break its policy, ask another host, fail to load.

A test's own assertions say what a page does; this says what went wrong beside it. `problems` is empty at the end of every test.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Request, Response, WebError

_OF_AN_ANSWER = "Failed to load resource: the server responded with a status of"
"""Chromium's own line about an answer of 400 and above. `answered` judges these, since it knows what was asked for."""


@dataclass  # without slots: playwright puts an attribute beside each method it calls
class Watch:
    """Attributes:
    origins: those that the pages belong to, such as http://127.0.0.1:8443. More can be added, of a simulated EHR say.
    problems: a sentence for each thing that went wrong, in the order in which it did.
    expected: answers (status) to requests of a page's own parts that the test provokes.
    """

    origins: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    expected: set[int] = field(default_factory=set)

    def over(self, context: BrowserContext) -> None:
        """Look at every page of a context, opened before or after."""
        context.on("console", self._said)
        context.on("weberror", self._raised)
        context.on("request", self._asked)
        context.on("response", self._answered)
        context.on("requestfailed", self._failed)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_OF_AN_ANSWER):
            self.problems.append(f"console {message.type}: {message.text}")

    def _raised(self, error: WebError) -> None:
        self.problems.append(f"script error: {error.error}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("data", "blob", "about"):
            return
        if f"{address.scheme}://{address.netloc}" not in self.origins:
            self.problems.append(f"another host was asked: {address.scheme}://{address.netloc}{address.path}")

    def _answered(self, response: Response) -> None:
        status, path = response.status, urlsplit(response.url).path
        if status in self.expected:
            return
        if status >= 500:
            self.problems.append(f"{response.request.method} {path} was answered {status}")
        elif status >= 400 and not response.request.is_navigation_request():
            self.problems.append(f"{path}, a part of a page, was answered {status}")

    def _failed(self, request: Request) -> None:
        reason = request.failure or "no reason"
        if "ERR_ABORTED" not in reason:  # the reader went on to another page
            self.problems.append(f"{urlsplit(request.url).path} did not load: {reason}")
