"""Between the network and a page's handler. In this order, for every page of the route table:

1. the body, limited; 2. the session of the cookie; 3. for POST: from a page of this site (`portal.origin`), and with the session's
token; 4. somebody is signed in; 5. the permission, in the environment that the address names; 6. for dangerous acts the password or
code again; 7. the handler, in a worker thread; 8. its answer as HTML, a redirect or a file.

What was typed is never lost: where a session ended or a page was stale, the answer holds it in hidden fields, to be sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import datetime
from functools import partial
from hmac import compare_digest
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.types import Message

from portal.forms import CONFIRM_FIELD, CSRF_FIELD, Form, Upload
from portal.limited_body import read_limited
from portal.origin import Network, is_same_origin, peer_of
from portal.page_request import Answer as PageAnswer
from portal.page_request import Download, NotAllowed, NotThere, PageRequest, PlainText, Redirect, Shown
from portal.people import Browser, Person, Session, SignInRefused
from portal.rendering import Renderer
from portal.roles import OWN_ENVIRONMENTS_ONLY, Permission, Role, may
from portal.route_table import Page

Value = TypeVar("Value")

_FORM_TYPES: Final = ("application/x-www-form-urlencoded", "multipart/form-data")
_MOST_FIELDS: Final = 2_000
_LONGEST_COOKIE: Final = 200
_LONGEST_AGENT: Final = 200
_KNOWN_FOR: Final = 400 * 86_400
"""Seconds that a browser is remembered after a sign-in; browsers keep no cookie longer."""


class _TooLarge(Exception):
    """More was posted than the page takes."""


class Sessions(Protocol):
    """What the gate asks for, of `portal.people.People`."""

    def session(self, token: str, *, touch: bool = True) -> Session | None: ...
    def confirm_again(self, by: Session, password_or_code: str, browser: Browser) -> Session | SignInRefused: ...
    def denied(self, by: Session, page: str, browser: Browser) -> None: ...
    def people(self) -> tuple[Person, ...]: ...


class Gate:
    """Makes Starlette's endpoints of pages.

    Args:
        sessions: who is signed in.
        renderer: makes HTML.
        public_url: of the portal.
        trusted_proxies: whose X-Forwarded-For counts, as it is now.
        now: UTC.
        threads: where handlers run.
        report: gets the route's path and what a handler raised unexpectedly.
    """

    def __init__(
        self,
        *,
        sessions: Sessions,
        renderer: Renderer,
        public_url: str,
        trusted_proxies: Callable[[], Sequence[Network]],
        now: Callable[[], datetime],
        threads: Executor,
        report: Callable[[str, Exception], None],
    ) -> None:
        self._sessions = sessions
        self._renderer = renderer
        self._public_url = public_url
        self._trusted_proxies = trusted_proxies
        self._now = now
        self._threads = threads
        self._report = report
        self._secure = public_url.startswith("https:")

    @property
    def cookie_name(self) -> str:
        """Over plain http, on this machine alone, browsers take no `__Host-` cookie."""
        return f"{self._prefix}carebell"

    @property
    def known_cookie_name(self) -> str:
        """Of the long-lived cookie by which a browser is known that once signed in."""
        return f"{self._prefix}carebell-known"

    @property
    def _prefix(self) -> str:
        return "__Host-" if self._secure else ""

    def endpoint(self, page: Page) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint of one row of the route table."""

        async def answer(request: Request) -> Response:
            page_request = self.page_request(request)
            try:
                if page.changes:
                    page_request = replace(page_request, form=await _read_form(request, page.largest_body))
                return await self._run(self._answer, page, request, page_request)
            except _TooLarge:
                sentence = f"{page.too_large or 'That was too large.'} Nothing was changed."
                back = None if page.too_large is None else page_request.path
                return await self.problem(request, page_request, 413, sentence, back=back)
            except ClientDisconnect:
                return Response(status_code=400)
            except HTTPException as error:
                if error.status_code == 415:
                    return await self.problem(request, page_request, 415, "That was no form. Nothing was changed.")
                return await self.problem(
                    request, page_request, 400, "The form could not be read. Nothing was changed."
                )

        return answer

    def page_request(self, request: Request) -> PageRequest:
        """What is known of a request without its body and its session."""
        client = request.client.host if request.client else None
        address = peer_of(client, request.headers.get("x-forwarded-for"), self._trusted_proxies())
        known_by = request.cookies.get(self.known_cookie_name, "")
        token = request.cookies.get(self.cookie_name, "")
        return PageRequest(
            path=request.url.path,
            parameters=dict(request.path_params),
            query=dict(request.query_params),
            repeated={name: tuple(request.query_params.getlist(name)) for name in request.query_params},
            browser=Browser(
                address=address or "unknown",
                agent=request.headers.get("user-agent", "")[:_LONGEST_AGENT] or None,
                known_by=known_by if 0 < len(known_by) <= _LONGEST_COOKIE else None,
            ),
            token=token if len(token) <= _LONGEST_COOKIE else "",
            now=self._now(),
        )

    async def problem(
        self, request: Request, page_request: PageRequest, status: int, sentence: str, *, back: str | None = None
    ) -> Response:
        """A page that says what is wrong with the request. `back`: the path of the page with the form."""
        view = {"sentence": sentence, "back": back}
        shown = Shown(template="problem.html", title=_TITLES[status], view=view, status=status)
        return await self._run(self._respond, shown, request, page_request)

    async def _run(self, work: Callable[..., Value], *values: object) -> Value:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *values))

    # In a worker thread

    def _answer(self, page: Page, request: Request, page_request: PageRequest) -> Response:
        try:
            if page_request.token:
                session = self._sessions.session(page_request.token, touch=not page.passive)
                page_request = replace(page_request, session=session)
            return self._respond(self._checked(page, request, page_request), request, page_request)
        except Exception as error:
            self._report(page.path, error)
            sentence = (
                "Carebell could not do this. Nothing is shown here of what went wrong; the service's log has a line "
                f"`internal_error` at {page_request.now:%H:%M:%S} UTC. "
                "Try again, and if it stays, show that line to the developers."
            )
            shown = Shown(template="problem.html", title=_TITLES[500], view={"sentence": sentence}, status=500)
            return self._respond(shown, request, replace(page_request, session=None))

    def _checked(self, page: Page, request: Request, page_request: PageRequest) -> PageAnswer:
        """Steps 3 to 7."""
        if page.changes and not is_same_origin(request.headers, self._public_url):
            return _stopped("This did not come from a page of the portal. Nothing was changed.", 403)
        if page.signed_in and page_request.session is None:
            return _signed_out(page, request, page_request)
        if (
            page.changes
            and page.signed_in
            and page_request.session is not None
            and not _carries_token(page_request, page_request.session.csrf)
        ):
            return _again(page_request, "This page is older than your session", "stale.html", 403)
        try:
            self._require(page, page_request)
            if page.confirm:
                asked = self._confirmed(page_request)
                if isinstance(asked, Shown):
                    return asked
                page_request = asked
            return page.handler(page_request)
        except NotThere:
            return Shown(
                template="problem.html",
                title=_TITLES[404],
                view={"sentence": "There is nothing at this address. It may have been forgotten, removed or renamed."},
                status=404,
            )
        except NotAllowed as refusal:
            return self._denied(page, page_request, refusal)

    def _require(self, page: Page, page_request: PageRequest) -> None:
        permission, environment = page.permission, page_request.parameters.get("environment")
        if permission is not None and not page_request.may(permission, environment):
            raise NotAllowed(permission)

    def _denied(self, page: Page, page_request: PageRequest, refusal: NotAllowed) -> Shown:
        session, permission = page_request.session, refusal.permission
        if session is not None:
            self._sessions.denied(session, page.path, page_request.browser)
        return Shown(
            template="denied.html",
            title=_TITLES[403],
            view={
                "sentence": refusal.sentence,
                "permission": permission,
                "only_own": permission is not None
                and page_request.may(permission)
                and page_request.role in OWN_ENVIRONMENTS_ONLY,
                "names": self._names_with(permission),
            },
            status=403,
        )

    def _names_with(self, permission: Permission | None) -> list[str]:
        """Whom to ask."""
        if permission is None:
            return []
        return [
            person.name
            for person in self._sessions.people()
            if person.disabled_at is None and may(Role(person.role), permission)
        ]

    def _confirmed(self, page_request: PageRequest) -> PageRequest | Shown:
        session = page_request.session
        if session is None or session.is_confirmed(page_request.now):
            return page_request
        password_or_code, refusal = page_request.form.raw(CONFIRM_FIELD), None
        if password_or_code:
            confirmed = self._sessions.confirm_again(session, password_or_code, page_request.browser)
            if not isinstance(confirmed, SignInRefused):
                return replace(page_request, session=confirmed)
            refusal = why_refused(confirmed, page_request.now, wrong="That password or code is not right.")
        return _again(page_request, "Confirm that it is you", "confirm.html", 403, refusal)

    def _respond(self, answer: PageAnswer, request: Request, page_request: PageRequest) -> Response:
        response: Response
        by_htmx = request.headers.get("hx-request") == "true"
        if isinstance(answer, Shown):
            part = request.headers.get("hx-target") if by_htmx else None
            response = HTMLResponse(self._renderer.html(answer, page_request, part=part), status_code=answer.status)
        elif isinstance(answer, PlainText):
            response = PlainTextResponse(answer.text)
        elif isinstance(answer, Download):
            name = "".join(letter for letter in answer.name if letter.isalnum() or letter in "-_.")
            response = StreamingResponse(iter(answer.chunks), media_type=answer.media_type)
            response.headers["content-disposition"] = f'attachment; filename="{name}"'
        else:
            target = answer.path if isinstance(answer, Redirect) else answer.url
            response = Response(headers={"hx-redirect": target}) if by_htmx else RedirectResponse(target, 303)
            if answer.cookie is not None:
                self._set_cookie(response, self.cookie_name, answer.cookie)
            if answer.known_by is not None:
                self._set_cookie(response, self.known_cookie_name, answer.known_by, seconds=_KNOWN_FOR)
        return response

    def _set_cookie(self, response: Response, name: str, value: str, seconds: int | None = None) -> None:
        """Set it, until the browser ends or for some time; "" deletes it."""
        age = seconds if value else 0
        response.set_cookie(name, value, age, path="/", secure=self._secure, httponly=True, samesite="lax")


_TITLES: Final = {
    400: "The request could not be read",
    403: "You cannot do this",
    404: "There is nothing here",
    405: "The request could not be read",
    413: "That was too large",
    415: "The request could not be read",
    421: "This is not the portal's address",
    500: "Something went wrong",
}


def why_refused(refusal: SignInRefused, now: datetime, *, wrong: str) -> str:
    """The sentence for whoever signs in, or confirms.

    Args:
        wrong: for what was typed wrongly; it does not say what.
    """
    if refusal.reason == "wait" and refusal.until is not None:
        minutes = max(1, -int((now - refusal.until).total_seconds() // 60))
        return f"There were too many attempts. Try again in {minutes} minute{'s' if minutes > 1 else ''}."
    return {
        "wrong": wrong,
        "wait": "There were too many attempts. Try again in a few minutes.",
        "locked": "There were far too many attempts. An administrator can unlock you, at the server or on the page People.",
        "expired": "That took too long, or it was done already. Begin again.",
        "busy": "Too many people are signing in at this moment. Try again in a few seconds.",
        "unavailable": "This way of signing in is switched off.",
        "incomplete": "You need a second factor, and have set none up. Ask an administrator for a new set-up link.",
        "no_role": "You signed in, but you have no role in the portal. Ask whoever looks after your accounts.",
        "switched_off": "You signed in, but you are switched off here. Ask an administrator.",
    }[refusal.reason]


def _carries_token(page_request: PageRequest, token: str) -> bool:
    return compare_digest(page_request.form.text(CSRF_FIELD).encode(), token.encode())


def _stopped(sentence: str, status: int) -> Shown:
    return Shown(template="problem.html", title=_TITLES[status], view={"sentence": sentence}, status=status)


def _signed_out(page: Page, request: Request, page_request: PageRequest) -> PageAnswer:
    if page.changes:
        return _again(page_request, "You were signed out", "signed_out.html", 401)
    query = f"?{request.url.query}" if request.url.query else ""
    wanted = "" if page.path == "/" else f"?next={quote(request.url.path + query, safe='/')}"
    return Redirect(path=f"/sign-in{wanted}")


def _again(page_request: PageRequest, title: str, template: str, status: int, refusal: str | None = None) -> Shown:
    """What was typed in hidden fields, with a button that sends it again."""
    return Shown(
        template=template,
        title=title,
        view={"carried": page_request.form.carried, "carries_all": page_request.form.carries_all, "refusal": refusal},
        status=status,
    )


async def _read_form(request: Request, limit: int) -> Form:
    """Raises: _TooLarge, ClientDisconnect, HTTPException."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() not in _FORM_TYPES:
        raise HTTPException(415)
    body = await read_limited(request, limit)
    if body is None:
        raise _TooLarge

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    whole = Request(request.scope, receive)
    async with whole.form(max_files=4, max_fields=_MOST_FIELDS, max_part_size=limit) as posted:
        return await _as_form(posted)


async def _as_form(posted: FormData) -> Form:
    values: dict[str, tuple[str, ...]] = {}
    uploads: dict[str, Upload] = {}
    for name, value in posted.multi_items():
        if isinstance(value, UploadFile):
            content = await value.read()
            if content or value.filename:
                uploads[name] = Upload(name=value.filename or "", content=content)
        else:
            values[name] = (*values.get(name, ()), value)
    return Form(values=values, uploads=uploads)
