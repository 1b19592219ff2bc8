"""`/livez`, `/readyz` and `/healthz`, as Kubernetes, systemd-minded scripts and load balancers ask: plain text, 200 or 503.

`?verbose` shows a line for each check, as Kubernetes' own servers do; a failure always shows them.
Source: https://kubernetes.io/docs/reference/using-api/health-checks/.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from portal.health import Health, HealthPart

ALIVE: Health = Health(parts={"ping": HealthPart(ok=True)})
"""What a process that answers says of its life. It asks for nothing else: a database that is down is no reason to restart it."""


def probe_routes(health: Callable[[], Awaitable[Health]]) -> list[Route]:
    """The three paths. `/healthz` says the same as `/readyz`, for tools that know only that one."""

    async def alive() -> Health:
        return ALIVE

    probes: Mapping[str, Callable[[], Awaitable[Health]]] = {"livez": alive, "readyz": health, "healthz": health}
    return [Route(f"/{name}", _endpoint(name, ask), methods=["GET"]) for name, ask in probes.items()]


def _endpoint(name: str, ask: Callable[[], Awaitable[Health]]) -> Callable[[Request], Awaitable[Response]]:
    async def probe(request: Request) -> Response:
        health = await ask()
        if health.ready and "verbose" not in request.query_params:
            return PlainTextResponse("ok")
        return PlainTextResponse(as_text(name, health), status_code=200 if health.ready else 503)

    return probe


def as_text(name: str, health: Health) -> str:
    """A line for each check, and the verdict."""
    lines = [] if health.live else ["[-]health failed: the checks did not come to an end"]
    for part_name, part in health.parts.items():
        if part.ok:
            lines.append(f"[+]{part_name} ok")
        else:
            code = f": {part.detail['code']}" if "code" in part.detail else ""
            lines.append(f"[-]{part_name} failed{code}{'' if part.needed else ' (not needed)'}")
    verdict = "passed" if health.ready else "failed"
    return "\n".join([*lines, f"{name} check {verdict}", ""])
