"""The configured certificates that an environment trusts, and the validator of one listener's environments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from carebell.environment_policy import environment_policy
from carebell.exits import ConfigurationStop
from carebell.inbound.validate import MessageValidator
from certs.cer import Report, read_upload
from certs.certificate import SigningCertificate
from certs.keyring import Binding, Freshness, Held, Keyring, KeyringError, Trust
from certs.verify import Verifier
from config.load import Loaded
from config.model import Environment
from config.problems import Problem
from parser.answers import AnswerTable

_WARN_DAYS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFinding:
    """A problem in a configuration, with its place. A warning does not stop the service."""

    problem: Problem
    is_warning: bool = False


def warning(loaded: Loaded, keys: tuple[str | int, ...], why: str) -> ConfigurationFinding:
    return ConfigurationFinding(problem=loaded.problem(keys, why), is_warning=True)


def certificates_of(
    loaded: Loaded, name: str, at: datetime
) -> tuple[tuple[SigningCertificate, ...], list[ConfigurationFinding]]:
    """An environment's usable certificates, and the findings about each.

    A certificate that has expired, or is not valid yet, stays in the keyring: its messages are refused with SIG06, which tells
    the analyst more than an unknown certificate would.
    """
    usable: list[SigningCertificate] = []
    findings: list[ConfigurationFinding] = []
    for index, path in enumerate(loaded.configuration.environments[name].certificates):
        keys = ("environments", name, "certificates", index)
        report, certificate = read_signer(path, at)
        if certificate is not None:
            if certificate.thumbprint in {listed.thumbprint for listed in usable}:
                why = f"{path.name} holds a certificate that is listed already; a second one is for a new key, while both sign"
                findings.append(ConfigurationFinding(problem=loaded.problem(keys, why)))
                continue
            usable.append(certificate)
        if report.verdict == "refuse":
            problem = loaded.problem(keys, f"{path.name}: {report.reason}")
            findings.append(ConfigurationFinding(problem=problem, is_warning=certificate is not None))
        elif report.not_after is not None and (left := days_left(report.not_after, at)) < _WARN_DAYS:
            findings.append(
                warning(loaded, keys, f"{path.name} expires in {left} days; ask the sender for the next one")
            )
    return tuple(usable), findings


def read_signer(path: Path, at: datetime) -> tuple[Report, SigningCertificate | None]:
    """An upload's report, and its certificate unless something other than its dates is wrong."""
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


def switched_off(loaded: Loaded, at: datetime) -> dict[str, tuple[SigningCertificate, ...]]:
    """Environment -> certificates, for every environment that is switched off. Files that cannot be used are left out."""
    return {
        name: certificates_of(loaded, name, at)[0]
        for name, environment in loaded.configuration.environments.items()
        if not environment.enabled
    }


def message_validator(loaded: Loaded, names: Sequence[str], at: datetime) -> MessageValidator:
    """The validator of one listener's environments. ConfigurationStop if a certificate cannot be used.

    It also knows the certificates of switched-off environments, so that the answer to their senders can say so.
    """
    trusts, wrong = [], []
    for name in names:
        certificates, findings = certificates_of(loaded, name, at)
        wrong += [str(finding.problem) for finding in findings if not finding.is_warning]
        trusts.append(trust_of(name, loaded.configuration.environments[name], certificates))
    if wrong:
        raise ConfigurationStop("\n".join(wrong))
    try:
        keyring = Keyring(trusts, switched_off(loaded, at))
    except KeyringError as error:
        raise ConfigurationStop(f"{loaded.path}: {error}") from None
    policies = {name: environment_policy(loaded, name) for name in names}
    return MessageValidator(
        verifier=Verifier(keyring),
        rules={name: policy.rules for name, policy in policies.items()},
        answers={name: policy.answers for name, policy in policies.items()} | {"": AnswerTable(loaded.answer_rows)},
        take_later_answers=frozenset(
            name for name, policy in policies.items() if policy.environment.writeback.takes_later_answers
        ),
    )


def trust_of(name: str, environment: Environment, certificates: tuple[SigningCertificate, ...]) -> Trust:
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
