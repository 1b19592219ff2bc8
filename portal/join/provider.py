"""What providers do on the page of their own link: let people in who wait for the visit or its group, or ask them for more minutes.

    POST /j/{token}/let-in         link=…
    POST /j/{token}/let-all-in
    POST /j/{token}/not-yet        link=…

The page itself is `/j/{token}`, as everybody's.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final, Protocol

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from portal.join.app import Below, NoVisit, languages_of, posted
from portal.join.rendering import JoinRenderer

_LINK: Final = re.compile(r"[0-9a-f]{64}")


class LetInDesk(Protocol):
    """What these pages ask for."""

    def answer(self, token: str, link: str | None, *, let_in: bool) -> bool:
        """Let somebody in, or ask them for more minutes; what has no effect any more has none.

        Args:
            token: of a provider's link. link: names the other person's; None: all who wait.

        Returns:
            Whether the token is a provider's of a visit that goes on.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderPages:
    """Attributes: report: gets what the desk raised unexpectedly."""

    desk: LetInDesk
    renderer: JoinRenderer
    public_url: str
    threads: Executor
    report: Callable[[Exception], None]

    def below(self) -> dict[tuple[str, str], Below]:
        """For `portal.join.app.build`."""
        return {
            ("POST", "/let-in"): self._let_in,
            ("POST", "/let-all-in"): self._let_all_in,
            ("POST", "/not-yet"): self._not_yet,
        }

    async def _let_in(self, request: Request, token: str) -> Response:
        return await self._answer(request, token, let_in=True)

    async def _let_all_in(self, request: Request, token: str) -> Response:
        return await self._answer(request, token, let_in=True, all_of_them=True)

    async def _not_yet(self, request: Request, token: str) -> Response:
        return await self._answer(request, token, let_in=False)

    async def _answer(self, request: Request, token: str, *, let_in: bool, all_of_them: bool = False) -> Response:
        pattern = None if all_of_them else _LINK
        link, refusal = await posted(request, self.renderer, self.public_url, "link", pattern)
        if refusal is not None:
            return refusal

        def work() -> bool:
            return self.desk.answer(token, None if all_of_them else link, let_in=let_in)

        try:
            done = await asyncio.get_running_loop().run_in_executor(self.threads, work)
        except Exception as error:
            self.report(error)
            return HTMLResponse(self.renderer.failed(languages_of(request)), status_code=500)
        if not done:
            raise NoVisit
        return RedirectResponse(f"/j/{token}", status_code=303)
