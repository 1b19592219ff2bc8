"""The configuration: loaded, changed, refused, and what it sets."""

import logging

from journal.events.base import Event, event


@event(logging.INFO)
class ConfigurationLoaded(Event):
    """The configuration was read when the service started."""

    configuration: str
    file: str
    environments: str


@event(logging.INFO, "Nothing to do. Pending texts are planned again; see `replanned`.")
class ConfigurationChanged(Event):
    """A changed configuration is in force."""

    configuration: str
    previous: str
    file: str
    environments: str


@event(logging.ERROR, "Correct the line that `problem` names; `carebell check-config` lists all of them.")
class ConfigurationRefused(Event):
    """A changed configuration is wrong and was refused; the old one stays in force."""

    problem: str
    problems: int
    file: str | None
    configuration: str


@event(logging.WARNING, "Read `problem`: missing consent, a certificate about to expire, a text that is too long.")
class ConfigurationWarning(Event):
    """The configuration is valid but probably does not do what is intended."""

    problem: str
    file: str


@event(logging.INFO, "Nothing to do. It takes effect within seconds; see `configuration_changed`.")
class ConfigurationTaken(Event):
    """A configuration that was saved on another node with the portal or `config set` was written into this node's file, which held
    what it was made from."""

    configuration: str
    previous: str
    file: str
    actor: str


@event(logging.WARNING, "Correct what `problem` names on this node, or copy the file by hand.")
class ConfigurationNotTaken(Event):
    """A configuration that was saved on another node could not be written into this node's file; the node goes on with its own."""

    configuration: str
    problem: str
    file: str


@event(logging.WARNING, "Restart the service when it suits; senders wait and lose nothing.")
class RestartNeeded(Event):
    """These keys changed but take effect only when the service starts."""

    keys: str
    configuration: str


@event(logging.INFO)
class Replanned(Event):
    """Pending texts were planned again after a change of the configuration."""

    environment: str
    appointments: int
    planned: int
    withdrawn: int
    seconds: float
    configuration: str


@event(
    logging.INFO,
    "Nothing to do. For more connections raise `ulimit -n` or the unit's LimitNOFILE, then restart.",
)
class DescriptorsShared(Event):
    """How many files and connections the process may open: `limit` in all, of which `kept` are reserved for the database, the
    gateway and HTTP. HL7 connections get `connections` in all and `per_peer` from one address."""

    limit: int
    kept: int
    connections: int
    per_peer: int
