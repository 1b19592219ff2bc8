"""What the configuration in force means to a node, and what of a changed one waits for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from carebell import wiring
from carebell.desk import Offices, offices
from carebell.inbound import Gatekeeper
from carebell.listening import ports
from config.load import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """One load of the configuration, ready for work; replaced as a whole by a reload.

    Attributes:
        gatekeepers: by the port's key.
    """

    loaded: Loaded = field(repr=False)
    offices: Offices = field(repr=False)
    gatekeepers: Mapping[str, Gatekeeper] = field(repr=False)


def in_force(loaded: Loaded, now: datetime) -> InForce:
    """ConfigurationStop where a certificate cannot be used. Blocking: reads the certificates."""
    return InForce(
        loaded=loaded,
        offices=offices(loaded),
        gatekeepers={port.key: wiring.gatekeeper(loaded, port.environments, now) for port in ports(loaded)},
    )


def waits_for_restart(before: Loaded, after: Loaded) -> list[str]:
    """The top-level keys whose change a reload does not put in force."""
    one, other = before.configuration, after.configuration
    changed = [name for name in ("storage", "gateway", "http", "log") if getattr(one, name) != getattr(other, name)]
    if [(port.key, port.section.tls is None) for port in ports(before)] != [
        (port.key, port.section.tls is None) for port in ports(after)
    ]:
        changed.append("listener")
    return changed
