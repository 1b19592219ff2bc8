"""What the configuration in force means to a node, and what of a changed one waits for a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from carebell.environment_policy import RuntimeConfig, runtime_config
from carebell.inbound import trust
from carebell.inbound.listeners import ports
from carebell.inbound.validate import MessageValidator
from config.load import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveConfig:
    """One load of the configuration, ready for work; replaced as a whole by a reload.

    Attributes:
        validators: by the port's key.
    """

    loaded: Loaded = field(repr=False)
    runtime_config: RuntimeConfig = field(repr=False)
    validators: Mapping[str, MessageValidator] = field(repr=False)


def activate(loaded: Loaded, now: datetime) -> ActiveConfig:
    """ConfigurationStop where a certificate cannot be used. Blocking: reads the certificates."""
    return ActiveConfig(
        loaded=loaded,
        runtime_config=runtime_config(loaded),
        validators={port.key: trust.message_validator(loaded, port.environments, now) for port in ports(loaded)},
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
