"""Putting the rooms together: from a configuration to gatekeepers, gateways, keys and the open database.

Everything here raises `Stop`s with one clear sentence for each thing that is wrong; nothing is started by halves.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.desk import desk
from carebell.exits import ConfigurationStop, PermissionStop, Stop, TransientStop, UsageStop
from carebell.inbound import Gatekeeper
from carebell.texting import text_settings
from certs.cer import Report, read_upload
from certs.certificate import SigningCertificate
from certs.keyring import Binding, Freshness, Held, Keyring, KeyringError, Trust
from certs.verify import Verifier
from config.files import check_files
from config.load import Loaded
from config.load import load as load_configuration
from config.model import Environment
from config.problems import ConfigurationError, Problem
from listener.tls import ClientCertificates, TlsSetupError, server_context
from notifier import gateways
from notifier.gateway import Gateway
from notifier.text import Severity, TemplateSet, check
from notifier.webhook import Webhook
from parser.answers import AnswerTable
from scheduler.clock import Clock
from store.engine import Store, open_store
from store.faults import StoreFault
from store.keys import KeyFault, read_key_file
from store.vault import Vault

_PLACES: Final = (Path("carebell.yaml"), Path("/etc/carebell/carebell.yaml"))
_WARN_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something about a configuration, at its place; a warning does not stop the service."""

    problem: Problem
    is_warning: bool = False


# The configuration


def configuration_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """`-c`, then $CAREBELL_CONFIG, then ./carebell.yaml, then /etc/carebell/carebell.yaml."""
    if given is not None:
        return given
    if environ.get("CAREBELL_CONFIG"):
        return Path(environ["CAREBELL_CONFIG"])
    for place in _PLACES:
        if place.exists():
            return place
    raise ConfigurationStop(
        "no configuration: there is no ./carebell.yaml; make one with `carebell init DIR`, or name one with -c"
    )


def load(given: Path | None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The configuration. ConfigurationStop with every problem, a line each."""
    path = configuration_path(given, environ)
    try:
        return load_configuration(path, environ)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def one_environment(loaded: Loaded, name: str) -> Environment:
    """The environment of that name; UsageStop unless there is one."""
    found = loaded.configuration.environments.get(name)
    if found is None:
        known = ", ".join(loaded.configuration.environments)
        raise UsageStop(f"{loaded.path}: no environment {name!r}; there are {known}")
    return found


def findings(loaded: Loaded, at: datetime) -> list[Finding]:
    """Everything about the configuration that its author should know: files, certificates, texts, consent."""
    problems = check_files(loaded)
    found = [Finding(problem=problem) for problem in problems]
    found += _about_contents(loaded, {problem.key for problem in problems})
    for name, environment in loaded.configuration.environments.items():
        if environment.enabled:
            _, about_certificates = _certificates(loaded, name, at)
            found += about_certificates
            found += _about_texts(loaded, name, environment)
        else:
            found.append(_warning(loaded, ("environments", name, "enabled"), "this environment is switched off"))
    found += _shared_keys(loaded, at)
    if not any(environment.enabled for environment in loaded.configuration.environments.values()):
        found.append(_warning(loaded, ("environments",), "no environment is enabled: nothing is received or sent"))
    return found


def require_sound(loaded: Loaded, at: datetime) -> list[Finding]:
    """The warnings; ConfigurationStop with every error, a line each."""
    found = findings(loaded, at)
    errors = [str(each.problem) for each in found if not each.is_warning]
    if errors:
        raise ConfigurationStop("\n".join(errors))
    return found


def _about_contents(loaded: Loaded, known: set[str]) -> Iterator[Finding]:
    """What only opening a file shows: a damaged key ring, TLS files that are none or do not belong together.

    Args:
        known: the keys whose files are known to be missing, unreadable or open to others.
    """
    if "storage.key_file" not in known:
        try:
            read_key_file(loaded.configuration.storage.key_file)
        except KeyFault as fault:
            yield Finding(problem=loaded.problem(("storage", "key_file"), str(fault)))
    for name, environment in loaded.configuration.environments.items():
        tls, keys = environment.listener.tls, ("environments", name, "listener", "tls")
        if tls is None or not environment.enabled or any(key.startswith(".".join(keys)) for key in known):
            continue
        authorities = None if tls.client_ca is None else ClientCertificates(anchors=(tls.client_ca.read_bytes(),))
        try:
            server_context(tls.certificate, tls.key, clients=authorities)
        except TlsSetupError as error:
            yield Finding(problem=loaded.problem(keys, str(error)))


def _shared_keys(loaded: Loaded, at: datetime) -> Iterator[Finding]:
    """One key in two environments, on whichever ports: a test system could speak for production."""
    trusts = [
        _trust(name, environment, _certificates(loaded, name, at)[0])
        for name, environment in loaded.configuration.environments.items()
        if environment.enabled
    ]
    try:
        Keyring(trusts)
    except KeyringError as error:
        yield Finding(problem=loaded.problem(("environments",), str(error)))


def _about_texts(loaded: Loaded, name: str, environment: Environment) -> Iterator[Finding]:
    templates, sms = loaded.templates[name], environment.sms
    settings = text_settings(loaded.configuration.organization, sms)
    for finding in check(TemplateSet.build(templates.texts), settings):
        problem = Problem.at(templates.where(finding.path), finding.path, finding.message)
        yield Finding(problem=problem, is_warning=finding.severity is Severity.WARNING)
    keys = ("environments", name, "sms", "consent")
    if not (sms.consent.organization_allows_sending and sms.consent.attendees_have_consented):
        yield _warning(loaded, keys, "both must be true before anything is sent: every text is recorded as no_consent")
    if not sms.approved:
        keys = ("environments", name, "sms", "approved")
        yield _warning(loaded, keys, "not approved: every text is recorded as not_approved")
    if environment.kind == "production" and environment.listener.tls is None and not _is_loopback(environment):
        keys = ("environments", name, "listener", "tls")
        yield _warning(loaded, keys, "production without TLS: messages cross the network readable by others")


def _is_loopback(environment: Environment) -> bool:
    return environment.listener.host in ("127.0.0.1", "::1", "localhost")


def _warning(loaded: Loaded, keys: tuple[str | int, ...], why: str) -> Finding:
    return Finding(problem=loaded.problem(keys, why), is_warning=True)


# Certificates and verification


def _certificates(loaded: Loaded, name: str, at: datetime) -> tuple[tuple[SigningCertificate, ...], list[Finding]]:
    """An environment's usable certificates, and what is to be said about each.

    One that has expired, or whose validity has not begun, stays in the ring: its messages are refused with SIG06, which tells
    the analyst more than an unknown certificate would.
    """
    usable: list[SigningCertificate] = []
    found: list[Finding] = []
    for index, path in enumerate(loaded.configuration.environments[name].certificates):
        keys = ("environments", name, "certificates", index)
        report, certificate = read_signer(path, at)
        if certificate is not None:
            usable.append(certificate)
        if report.verdict == "refuse":
            problem = loaded.problem(keys, f"{path.name}: {report.reason}")
            found.append(Finding(problem=problem, is_warning=certificate is not None))
        elif report.not_after is not None and (left := days_left(report.not_after, at)) < _WARN_DAYS:
            found.append(_warning(loaded, keys, f"{path.name} expires in {left} days; ask the sender for the next one"))
    return tuple(usable), found


def read_signer(path: Path, at: datetime) -> tuple[Report, SigningCertificate | None]:
    """An upload's report, and its certificate if nothing but its dates stands against it."""
    report = read_upload(path, at)
    if report.certificate is None and report.not_before is not None and not _is_valid(report, at):
        return report, read_upload(path, report.not_before).certificate
    return report, report.certificate


def _is_valid(report: Report, at: datetime) -> bool:
    return (
        report.not_before is not None and report.not_after is not None and report.not_before <= at <= report.not_after
    )


def days_left(not_after: datetime, at: datetime) -> int:
    """Whole days until expiry; negative after it."""
    return (not_after - at) // timedelta(days=1)


def gatekeeper(loaded: Loaded, names: Sequence[str], at: datetime) -> Gatekeeper:
    """The gatekeeper of one listener's environments. ConfigurationStop where a certificate cannot be used."""
    trusts, wrong = [], []
    for name in names:
        certificates, found = _certificates(loaded, name, at)
        wrong += [str(each.problem) for each in found if not each.is_warning]
        trusts.append(_trust(name, loaded.configuration.environments[name], certificates))
    if wrong:
        raise ConfigurationStop("\n".join(wrong))
    try:
        keyring = Keyring(trusts)
    except KeyringError as error:
        raise ConfigurationStop(f"{loaded.path}: {error}") from None
    desks = {name: desk(loaded, name) for name in names}
    return Gatekeeper(
        verifier=Verifier(keyring),
        rules={name: each.rules for name, each in desks.items()},
        answers={name: each.answers for name, each in desks.items()} | {"": AnswerTable(loaded.answer_rows)},
    )


def _trust(name: str, environment: Environment, certificates: tuple[SigningCertificate, ...]) -> Trust:
    sender = environment.sender
    return Trust(
        environment=name,
        kind=environment.kind,
        zone=environment.zone,
        authentication=environment.authentication,
        certificates=tuple(Held(certificate=certificate) for certificate in certificates),
        freshness=Freshness(max_age=environment.freshness.max_age, max_ahead=environment.freshness.max_ahead),
        binding=Binding(
            facilities=tuple(sender.facilities),
            receiving_application=sender.receiving_application,
            receiving_facility=sender.receiving_facility,
            processing_ids=tuple(sender.processing_ids),
        ),
    )


# Keys, database, gateway


def open_vault(loaded: Loaded) -> Vault:
    """The data-encryption key ring. ConfigurationStop where the file is missing, damaged or open to others."""
    try:
        key_file = loaded.configuration.storage.key_file
        return Vault(ring=read_key_file(key_file), reread=lambda: read_key_file(key_file))
    except KeyFault as fault:
        raise ConfigurationStop(str(loaded.problem(("storage", "key_file"), str(fault)))) from None


def open_database(loaded: Loaded, *, upgrade: bool, told: Callable[[str, str], None] = lambda *_: None) -> Store:
    """The database, its tables at this version.

    Args:
        told: (backend, version) of an upgrade that was done.
        upgrade: bring an SQLite file's tables up to date; PostgreSQL, which several nodes share, waits for `carebell db upgrade`
            unless it is empty.
    """
    from store import schema  # alembic: 0.15 s that `check-config` and `verify` do not spend

    with contextlib.ExitStack() as on_fault:
        try:
            store = open_store(loaded.configuration.storage.url)
            on_fault.callback(store.close)
            with store.read() as conn:
                version = schema.current(conn)
            if upgrade and version != schema.head() and (store.backend == "sqlite" or version is None):
                told(store.backend, schema.upgrade(store)[1])
            schema.require_current(store)
        except StoreFault as fault:
            raise stop_for(fault) from None
        on_fault.pop_all()
    return store


def stop_for(fault: StoreFault) -> Stop:
    """A database's fault as the command's end: 75 where trying again helps, 77 where the file is not ours, else 78."""
    sentence = f"{fault} ({fault.code})"
    if fault.transient:
        return TransientStop(sentence)
    return PermissionStop(sentence) if "permission" in str(fault) else ConfigurationStop(sentence)


def open_gateway(loaded: Loaded, clock: Clock) -> Gateway:
    """The gateway that the configuration names. ConfigurationStop where it lacks something."""
    try:
        return gateways.open_gateway(loaded, clock.now, sys.stdout)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def open_webhooks(loaded: Loaded) -> tuple[Webhook, ...]:
    """That gateway's webhooks. ConfigurationStop where a file that they need cannot be used."""
    try:
        return gateways.open_webhooks(loaded)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None
