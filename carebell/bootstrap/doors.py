"""HTTP doors of a node: each has a port of its own. They open in order at the start, and close before the database does."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Literal, Protocol

from carebell.bootstrap.running_service import RunningService
from carebell.exits import Stop
from carebell.inbound.listeners import why_not
from config.model import Configuration, Http, JoinSection, PortalSection

DoorName = Literal["http", "portal", "join"]
Address = tuple[str, int]
"""(host, port)."""


class Door(Protocol):
    """One HTTP application and its port.

    Attributes:
        name: of its section in carebell.yaml, which has `enabled`, `host` and `port`.
    """

    @property
    def name(self) -> DoorName: ...

    def serve(self, running: RunningService) -> AbstractAsyncContextManager[Address]:
        """Serve while the block runs. Yields the bound address; for port 0 it has the chosen port.

        Raises:
            OSError: the port is taken, or the address is not of this machine.
        """
        ...


def section_of(configuration: Configuration, name: DoorName) -> Http | PortalSection | JoinSection:
    match name:
        case "http":
            return configuration.http
        case "portal":
            return configuration.portal
        case "join":
            return configuration.join


async def open_doors(doors: Sequence[Door], running: RunningService, stack: AsyncExitStack) -> dict[DoorName, Address]:
    """Open every door that the configuration switches on, if this node has the role `portal`. `stack` closes them.

    Raises:
        Stop: a port cannot be listened on; it names the line.
    """
    opened: dict[DoorName, Address] = {}
    if "portal" not in running.roles:
        return opened
    loaded = running.loaded()
    for door in doors:
        section = section_of(loaded.configuration, door.name)
        if not section.enabled:
            continue
        try:
            opened[door.name] = await stack.enter_async_context(door.serve(running))
        except OSError as error:
            place = loaded.where((door.name, "port"))
            raise Stop(f"{place}: cannot listen on {section.host}:{section.port}: {why_not(error)}") from None
    return opened
