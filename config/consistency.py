"""Check that the sections of one configuration do not contradict each other. Pure; reads no file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from itertools import combinations
from pathlib import Path
from typing import Final

from config.addresses import is_loopback
from config.gateways import AUTH_TOKEN, BEARER_TOKEN, SECRETS, WEBHOOK_SECRET, GatewaySecret, GatewaySection
from config.model import Configuration, Environment, Http, JoinSection, ListenerSection, PortalSection
from config.problems import Keys, Problem, SourceLocation, key_path
from config.secret_files import private_keys, secret_files
from config.sms_consistency import sms_disagreements
from config.visit_consistency import visit_disagreements
from config.writeback_consistency import writeback_disagreements

_ANY_ADDRESS = ("0.0.0.0", "::", "*")  # noqa: S104  # compared with, not bound to
_LOOPBACK: Final = (ip_network("127.0.0.0/8"), ip_network("::1"))
_EXAMPLE_SID = "ac" + 32 * "x"  # the shipped file's

Where = Callable[[Keys], SourceLocation]


def disagreements(configuration: Configuration, where: Where) -> list[Problem]:
    """Every contradiction, at the place of the later key."""
    contradictions = [
        *_listeners(configuration),
        *_certificates(configuration),
        *_doors(configuration),
        *_portal(configuration),
        *_gateway(configuration, where),
        *_environments(configuration),
        *_sources(configuration),
        *_files(configuration),
    ]
    return [Problem.at(where(keys), keys, why) for keys, why in contradictions]


def _listeners(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    """Environments may share a port. Then it is one listener, and their settings for it must be equal."""
    for (first, first_environment), (second, second_environment) in combinations(_enabled(configuration), 2):
        here, there = first_environment.listener, second_environment.listener
        if here.port != there.port or here.port == 0:
            continue
        keys: Keys = ("environments", second, "listener")
        if here.host == there.host:
            names = [name for name in ListenerSection.model_fields if getattr(here, name) != getattr(there, name)]
            if names:
                yield (
                    keys,
                    f"shares {here.host}:{here.port} with environment {first}, but differs in {', '.join(names)}",
                )
        elif _ANY_ADDRESS.count(here.host) or _ANY_ADDRESS.count(there.host):
            yield keys, f"port {here.port} is also taken by environment {first} on {here.host}"


def _enabled(configuration: Configuration) -> list[tuple[str, Environment]]:
    return [(name, environment) for name, environment in configuration.environments.items() if environment.enabled]


def _certificates(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    """The certificate identifies the environment, so it may be in only one environment (signing.md section 5)."""
    seen: dict[str, str] = {}
    for name, environment in configuration.environments.items():
        files = [os.path.normpath(path) for path in environment.certificates]
        for index, file in enumerate(files):
            other = seen.setdefault(file, name)
            keys: Keys = ("environments", name, "certificates", index)
            if other != name:
                yield keys, f"is also a certificate of environment {other}; each environment needs its own"
            elif files.index(file) != index:
                yield keys, "stands twice"


def _doors(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    """Ports for HTTP that are taken."""
    http, portal, join = configuration.http, configuration.portal, configuration.join
    for door, name in ((http, "http"), (portal, "portal"), (join, "join")):
        if not door.enabled:
            continue
        for environment_name, environment in _enabled(configuration):
            if _same_port(door, environment.listener):
                yield (name, "port"), f"{door.port} is also the listener's port of environment {environment_name}"
    if http.enabled and portal.enabled and _same_port(http, portal):
        yield ("portal", "port"), f"{portal.port} is also the port of http; the staff's pages need one of their own"
    for other, name in ((http, "http"), (portal, "portal")):
        if other.enabled and join.enabled and _same_port(join, other):
            yield ("join", "port"), f"{join.port} is also the port of {name}; the patients' pages need one of their own"


def _same_port(door: Http | PortalSection | JoinSection, other: Http | PortalSection | ListenerSection) -> bool:
    hosts = (door.host, other.host)
    return 0 != door.port == other.port and (hosts[0] == hosts[1] or bool(set(hosts) & set(_ANY_ADDRESS)))


def _portal(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    portal = configuration.portal
    for name, environment in configuration.environments.items():
        if environment.approval.required and not environment.approval.approvers:
            keys: Keys = ("environments", name, "approval", "approvers")
            yield keys, "is empty: nobody could approve, and every text would wait; name at least one user"
    if not portal.enabled:
        return
    if portal.public_url is None and not is_loopback(f"http://{_in_url(portal.host)}"):
        yield ("portal", "public_url"), "is missing: write the https:// address at which browsers reach these pages"
    if not portal.sign_in.local.enabled and portal.sign_in.oidc is None:
        yield ("portal", "sign_in"), "leaves no way in: local is switched off, and there is no oidc"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _gateway(configuration: Configuration, where: Where) -> Iterator[tuple[Keys, str]]:
    section = configuration.gateway
    for secret in SECRETS:
        if secret.value(section) is not None and where(secret.keys).line:
            yield (
                secret.keys,
                f"a secret does not belong in this file; put it into a file of its own and name that with {secret.name}_file, "
                f"or set {secret.variable}",
            )
    if section.kind == "twilio":
        yield from _twilio(section)
    if section.kind == "http":
        yield from _http_gateway(section)


def _twilio(section: GatewaySection) -> Iterator[tuple[Keys, str]]:
    account = section.twilio
    keys: Keys = ("gateway", "twilio")
    if not account.account_sid:
        yield (*keys, "account_sid"), "is missing; gateway.kind: twilio needs it"
    elif account.account_sid.lower() == _EXAMPLE_SID:
        yield (*keys, "account_sid"), "is still the example; write your account's"
    if not _has(section, AUTH_TOKEN):
        yield AUTH_TOKEN.file_keys, "is missing; gateway.kind: twilio needs it"
    if account.public_url is not None and section.is_live and is_loopback(account.public_url):
        yield (*keys, "public_url"), "points to this machine, where Twilio cannot reach it"


def _http_gateway(section: GatewaySection) -> Iterator[tuple[Keys, str]]:
    account = section.http
    keys: Keys = ("gateway", "http")
    if account.url is None:
        yield (*keys, "url"), "is missing; gateway.kind: http needs it"
    if not _has(section, BEARER_TOKEN):
        yield BEARER_TOKEN.file_keys, "is missing; gateway.kind: http needs it"
    if account.public_url is None:
        return
    if not _has(section, WEBHOOK_SECRET):
        yield WEBHOOK_SECRET.file_keys, "is missing; without it the webhooks that public_url asks for cannot be proven"
    if section.is_live and is_loopback(account.public_url):
        yield (*keys, "public_url"), "points to this machine, where the gateway cannot reach it"


def _has(section: GatewaySection, secret: GatewaySecret) -> bool:
    return secret.value(section) is not None or secret.file(section) is not None


def _environments(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    for name, environment in configuration.environments.items():
        yield from sms_disagreements(environment, ("environments", name, "sms"))
        yield from writeback_disagreements(environment, ("environments", name, "writeback"))
    yield from visit_disagreements(configuration)


def _sources(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    """Source addresses that can never reach the listener's own address."""
    for name, environment in configuration.environments.items():
        listener = environment.listener
        host = "127.0.0.1" if listener.host == "localhost" else listener.host
        try:
            address = ip_address(host)
        except ValueError:
            continue  # a name: what it resolves to is not known here
        for index, written in enumerate(listener.allow_from):
            source = ip_network(written)
            keys: Keys = ("environments", name, "listener", "allow_from", index)
            loopback = any(source.version == network.version and source.overlaps(network) for network in _LOOPBACK)
            if address.is_loopback and not loopback:
                yield (
                    keys,
                    f"can never match: {listener.host} is reached from this machine alone; to be reached from elsewhere, "
                    "host must be 0.0.0.0 or an address of the network",
                )
            elif source.version > address.version:
                yield keys, f"can never match: nothing with an IPv6 address reaches {listener.host}"


_FILES: Final[tuple[tuple[Keys, Callable[[Configuration], Path | None]], ...]] = (
    (("storage", "url"), lambda configuration: _database(configuration.storage.url)),
    (("storage", "key_file"), lambda configuration: configuration.storage.key_file),
    (("storage", "marker_file"), lambda configuration: configuration.storage.marker_file),
    (("log", "file"), lambda configuration: configuration.log.file),
    (
        ("gateway", "file"),
        lambda configuration: configuration.gateway.file if configuration.gateway.kind == "file" else None,
    ),
)
"""Files that Carebell writes. If one is named twice, its content is destroyed."""


def _files(configuration: Configuration) -> Iterator[tuple[Keys, str]]:
    read: list[tuple[Keys, Path]] = [
        (("environments", name, "certificates", index), path)
        for name, environment in configuration.environments.items()
        for index, path in enumerate(environment.certificates)
    ]
    written = [(keys, path) for keys, file_of in _FILES if (path := file_of(configuration)) is not None]
    owners: dict[str, Keys] = {}
    for keys, path in written:
        owner = owners.setdefault(os.path.normpath(path), keys)
        if owner != keys:
            yield keys, f"names the same file as {key_path(owner)}"
    for keys, path in [*read, *secret_files(configuration), *private_keys(configuration)]:
        if (owner := owners.get(os.path.normpath(path), ())) and owner != keys:
            yield keys, f"names the same file as {key_path(owner)}, which Carebell writes"


def _database(url: str) -> Path | None:
    return Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
