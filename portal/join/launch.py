"""The addresses that an EHR launches: a provider who is signed in there comes to the visit without a password, a patient to the
waiting room without a text.

    GET  /ehr/{environment}/provider?iss=…&launch=…    on to the EHR's sign-in server, which knows who sits there
    GET  /ehr/{environment}/patient?iss=…&launch=…     the same for patients
    GET  /ehr/{environment}/callback?code=…&state=…    back from it, and on to a link of this person's own

Between the two the browser carries what must come back, sealed, in one cookie for ten minutes: the only one
here. What comes of a launch is a link with a role (`/j/…`), short and of one visit alone. HEAD does nothing: it would begin or use
up a launch.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol, TypeVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from portal.join.app import languages_of
from portal.join.guessing import Guesses
from portal.join.rendering import JoinRenderer
from portal.origin import Network, peer_of

MOST_AT_ONCE: Final = 8
"""Launches under way: each may wait for the EHR's server, and patients' pages must not wait with them."""
LASTS_SECONDS: Final = 600
_LONGEST_QUERY: Final = 12_288
_MOST_PARAMETERS: Final = 20
LaunchParameters = Sequence[tuple[str, str]]
LaunchReader = Literal["provider", "patient"]
Outcome = TypeVar("Outcome")


@dataclass(frozen=True, slots=True, kw_only=True)
class ToSignIn:
    """Attributes:
    url: of the EHR's sign-in server.
    carried: what the browser must bring back, sealed.
    """

    url: str = field(repr=False)
    carried: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchRefusal:
    """Attributes:
    reader: whose launch it was, as far as that is known.
    code: stable, for whoever is called. sentence: for staff. reason: a further code, for the log.
    hidden: the page is that of a link which leads to no visit.
    """

    reader: str
    code: str
    sentence: str
    reason: str | None = None
    hidden: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchArrival:
    """Attributes: path: on this origin, where the person goes on."""

    path: str = field(repr=False)


_BUSY: Final = LaunchRefusal(
    reader="unknown",
    code="busy",
    sentence="Too many visits are being opened at this moment. Open it again from the EHR in a minute.",
)


_FOR_PATIENTS: Final = {"busy": "busy", "not_started": "again", "replayed": "again"}
"""Code -> the sentence of section `launch` that a patient reads; `failed` for all others, which a patient cannot mend."""


class LaunchDesk(Protocol):
    """What these pages ask for. None: there is no such environment behind links."""

    def begin(
        self, environment: str, reader: LaunchReader, parameters: LaunchParameters
    ) -> ToSignIn | LaunchRefusal | None:
        """An EHR launched. It blocks for a request to that EHR's server."""
        ...

    def finish(
        self, environment: str, parameters: LaunchParameters, carried: str
    ) -> LaunchArrival | LaunchRefusal | None:
        """Back from its sign-in server. It blocks for up to three requests there; the same answer counts once."""
        ...


@dataclass(slots=True, kw_only=True)
class LaunchPages:
    """Attributes:
    threads: of their own, where the desk is asked.
    refused: is told, on the event loop, of a refusal: the environment, it, and the browser's address.
    report: gets what the desk raised unexpectedly.
    """

    desk: LaunchDesk
    renderer: JoinRenderer
    public_url: str
    threads: Executor
    trusted_proxies: Callable[[], Sequence[Network]]
    refused: Callable[[str, LaunchRefusal, str | None], None]
    report: Callable[[Exception], None]
    guesses: Guesses = field(default_factory=Guesses)
    seconds: Callable[[], float] = time.monotonic
    under_way: int = 0

    def further(self) -> list[Route]:
        """For `portal.join.app.build`."""
        return [
            Route("/ehr/{environment}/provider", self._provider, methods=["GET"]),
            Route("/ehr/{environment}/patient", self._patient, methods=["GET"]),
            Route("/ehr/{environment}/callback", self._callback, methods=["GET"]),
        ]

    @property
    def cookie(self) -> str:
        """Over plain http, on this machine alone, browsers take no `__Host-` cookie."""
        return "__Host-launch" if self._secure else "launch"

    @property
    def _secure(self) -> bool:
        return self.public_url.startswith("https:")

    async def _provider(self, request: Request) -> Response:
        return await self._launch(request, "provider")

    async def _patient(self, request: Request) -> Response:
        return await self._launch(request, "patient")

    async def _launch(self, request: Request, reader: LaunchReader) -> Response:
        environment = request.path_params["environment"]
        outcome = await self._asked(request, lambda given: self.desk.begin(environment, reader, given))
        if not isinstance(outcome, ToSignIn):
            return outcome
        response = RedirectResponse(outcome.url, status_code=302)
        self._keep(response, outcome.carried, LASTS_SECONDS)
        return response

    async def _callback(self, request: Request) -> Response:
        environment, carried = request.path_params["environment"], request.cookies.get(self.cookie, "")
        outcome = await self._asked(request, lambda given: self.desk.finish(environment, given, carried))
        response = RedirectResponse(outcome.path, 303) if isinstance(outcome, LaunchArrival) else outcome
        self._keep(response, "", 0)
        return response

    async def _asked(
        self, request: Request, ask: Callable[[LaunchParameters], Outcome | LaunchRefusal | None]
    ) -> Outcome | Response:
        if request.method == "HEAD":
            return PlainTextResponse("", 405, {"allow": "GET"})
        if self.under_way >= MOST_AT_ONCE:
            return self._refused(request, _BUSY, 503)
        self.under_way += 1
        try:
            parameters = _parameters(request)
            outcome = await asyncio.get_running_loop().run_in_executor(self.threads, ask, parameters)
        except Exception as error:
            self.report(error)
            return HTMLResponse(self.renderer.failed(languages_of(request)), status_code=500)
        finally:
            self.under_way -= 1
        if outcome is None or isinstance(outcome, LaunchRefusal):
            return self._refused(request, outcome, 403)
        return outcome

    def _refused(self, request: Request, refusal: LaunchRefusal | None, status: int) -> Response:
        peer = self._peer(request)
        if refusal is not None:
            self.refused(request.path_params["environment"], refusal, peer)
        if self.guesses.over_limit(peer, self.seconds()):
            return PlainTextResponse(
                self.renderer.line("page.too_many", languages_of(request)), 429, {"retry-after": "60"}
            )
        if refusal is None or refusal.hidden:
            return HTMLResponse(self.renderer.nothing(languages_of(request)), status_code=404)
        return HTMLResponse(self._refusal_page(request, refusal), status_code=status)

    def _refusal_page(self, request: Request, refusal: LaunchRefusal) -> str:
        """For staff what to correct, in English; for a patient, or who may be one, what to do now."""
        is_staff = refusal.reader == "provider"
        words = self.renderer.words_for("en" if is_staff else languages_of(request))
        said = words.say(f"launch.{_FOR_PATIENTS.get(refusal.code, 'failed')}")
        return self.renderer.plain(
            "launch_refused.html",
            words,
            sentence=refusal.sentence if is_staff else said,
            code=refusal.code,
            **self.renderer.around(),
        )

    def _keep(self, response: Response, carried: str, seconds: int) -> None:
        """Lax: the callback comes from the EHR's server, by a redirect of the whole window."""
        response.set_cookie(
            self.cookie, carried, max_age=seconds, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def _peer(self, request: Request) -> str | None:
        client = request.client.host if request.client else None
        return peer_of(client, request.headers.get("x-forwarded-for"), self.trusted_proxies())


def _parameters(request: Request) -> LaunchParameters:
    """The query in its order; nothing of one that no EHR would send."""
    query = request.scope.get("query_string", b"")
    if len(query) > _LONGEST_QUERY:
        return []
    try:
        return parse_qsl(
            query.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_PARAMETERS, errors="strict"
        )
    except ValueError:
        return []
