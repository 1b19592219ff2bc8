"""Check everything that could prevent a start with this configuration: every file, certificate and text, before anything runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime

from carebell.exits import ConfigurationStop
from carebell.inbound.trust import ConfigurationFinding, certificates_of, trust_of, warning
from carebell.outbound.render import text_settings
from certs.keyring import Keyring, KeyringError
from config.fhir_map import FhirMap
from config.files import check_files, open_to_others
from config.ineffective_settings import pointless
from config.load import Loaded
from config.model import Environment
from config.outmap import OutMap
from config.page_words import languages_with, missing_page_words
from config.problems import ConfigurationError, Problem
from listener.tls import ClientCertificates, TlsSetupError, server_context
from notifier.dates import fallbacks
from notifier.gateways import check_gateway
from notifier.reply_meaning import unusable_words
from notifier.reply_words import read_reply_words
from notifier.templates import REPLY
from notifier.text import Severity, TemplateSet, check
from store.keys import KeyFault, read_key_file


def findings(loaded: Loaded, at: datetime) -> list[ConfigurationFinding]:
    """Everything about the configuration that its author should know: files, certificates, texts, consent."""
    problems = check_files(loaded)
    noted = [ConfigurationFinding(problem=problem) for problem in problems]
    oddities = [*pointless(loaded), *open_to_others(loaded)]
    noted += [ConfigurationFinding(problem=problem, is_warning=True) for problem in oddities]
    noted += _about_contents(loaded, {problem.key for problem in problems})
    for name, environment in loaded.configuration.environments.items():
        if environment.enabled:
            _, about_certificates = certificates_of(loaded, name, at)
            noted += about_certificates
            noted += _about_texts(loaded, name, environment)
        else:
            noted.append(warning(loaded, ("environments", name, "enabled"), "this environment is switched off"))
    noted += _about_pages(loaded)
    noted += _shared_keys(loaded, at)
    noted += _about_gateway(loaded, {problem.key for problem in problems})
    if not any(environment.enabled for environment in loaded.configuration.environments.values()):
        noted.append(warning(loaded, ("environments",), "no environment is enabled: nothing is received or sent"))
    return noted


def require_sound(loaded: Loaded, at: datetime) -> list[ConfigurationFinding]:
    """The warnings. ConfigurationStop with every error, one line each."""
    noted = findings(loaded, at)
    errors = [str(finding.problem) for finding in noted if not finding.is_warning]
    if errors:
        raise ConfigurationStop("\n".join(errors))
    return noted


def _about_contents(loaded: Loaded, known: set[str]) -> Iterator[ConfigurationFinding]:
    """Problems that only reading a file shows: a damaged key ring, TLS files that are invalid or do not belong together.

    Args:
        known: the keys whose files are known to be missing, unreadable or open to others.
    """
    if "storage.key_file" not in known:
        try:
            read_key_file(loaded.configuration.storage.key_file)
        except KeyFault as fault:
            yield ConfigurationFinding(problem=loaded.problem(("storage", "key_file"), str(fault)))
    for name, environment in loaded.configuration.environments.items():
        tls, keys = environment.listener.tls, ("environments", name, "listener", "tls")
        if tls is None or not environment.enabled or any(key.startswith(".".join(keys)) for key in known):
            continue
        authorities = None if tls.client_ca is None else ClientCertificates(anchors=(tls.client_ca.read_bytes(),))
        try:
            server_context(tls.certificate, tls.key, clients=authorities)
        except TlsSetupError as error:
            yield ConfigurationFinding(problem=loaded.problem(keys, str(error)))


def _about_gateway(loaded: Loaded, known: set[str]) -> Iterator[ConfigurationFinding]:
    """Problems of the gateway: files that cannot be used, or no way to receive patients' replies."""
    section = loaded.configuration.gateway
    if not any(key.startswith("gateway.") for key in known):
        yield from (ConfigurationFinding(problem=problem) for problem in check_gateway(loaded))
    if section.is_live and section.public_url is None:
        keys = ("gateway", section.kind, "public_url")
        yield warning(
            loaded,
            keys,
            "is missing: no STOP arrives, and the status of every text is asked for after an hour",
        )


def _shared_keys(loaded: Loaded, at: datetime) -> Iterator[ConfigurationFinding]:
    """One key in two environments, on any ports: a test system could send messages for production."""
    trusts = [
        trust_of(name, environment, certificates_of(loaded, name, at)[0])
        for name, environment in loaded.configuration.environments.items()
        if environment.enabled
    ]
    try:
        Keyring(trusts)
    except KeyringError as error:
        yield ConfigurationFinding(problem=loaded.problem(("environments",), str(error)))


def _about_texts(loaded: Loaded, name: str, environment: Environment) -> Iterator[ConfigurationFinding]:
    templates, sms = loaded.templates[name], environment.sms
    settings = text_settings(loaded.configuration.organization, sms)
    for finding in check(TemplateSet.build(templates.texts), settings):
        problem = Problem.at(templates.where(finding.path), finding.path, finding.message)
        yield ConfigurationFinding(problem=problem, is_warning=finding.severity is Severity.WARNING)
    if sms.replies.enabled:
        yield from _about_replies(loaded, name, environment)
    keys = ("environments", name, "sms", "consent")
    if not (sms.consent.organization_allows_sending and sms.consent.attendees_have_consented):
        yield warning(loaded, keys, "both must be true before anything is sent: every text is recorded as no_consent")
    if not sms.approved:
        keys = ("environments", name, "sms", "approved")
        yield warning(loaded, keys, "not approved: every text is recorded as not_approved")
    if environment.kind == "production" and environment.listener.tls is None and not _is_loopback(environment):
        keys = ("environments", name, "listener", "tls")
        yield warning(loaded, keys, "production without TLS: messages cross the network readable by others")


def _about_replies(loaded: Loaded, name: str, environment: Environment) -> Iterator[ConfigurationFinding]:
    """Words that mean something else already, and texts that should ask and do not."""
    sms, keys = environment.sms, ("environments", name, "sms", "replies")
    goes_back = environment.writeback.events
    if all(goes_back.get(event, "none") == "none" for event in ("confirmed", "cannot_come", "call_me")):
        why = "what patients answer stands in Carebell alone: nothing of it goes back to the EHR (writeback.events)"
        yield warning(loaded, keys, why)
    elif sms.replies.cannot_come == "ask_ehr" and goes_back.get("cannot_come", "none") == "none":
        why = "ask_ehr asks nobody: writeback.events.cannot_come names no way to the EHR"
        yield warning(loaded, (*keys, "cannot_come"), why)
    elif (otherwise := _misunderstood_cancellation(loaded, name, sms.replies.cannot_come)) is not None:
        yield warning(loaded, (*keys, "cannot_come"), otherwise)
    with suppress(ConfigurationError):  # a broken file of words is a problem of the gateway, said there
        words = read_reply_words(loaded.configuration.gateway.reply_words)
        for place, why in unusable_words(sms.replies, words):
            yield ConfigurationFinding(problem=loaded.problem((*keys, *place), why))
    templates = loaded.templates[name]
    for (language, kind, mode), template in TemplateSet.build(templates.texts).texts.items():
        if kind in sms.replies.ask_in and not any(piece.value == REPLY for piece in template.fields):
            path = (language, kind, mode)
            why = "does not ask: sms.replies.ask_in names it, and it has no [... {reply} ...]"
            yield ConfigurationFinding(problem=Problem.at(templates.where(path), path, why), is_warning=True)


def _misunderstood_cancellation(loaded: Loaded, name: str, wanted: str) -> str | None:
    """Why the map of `writeback` does not do with `cannot_come` what is wanted; None: it does, or it goes back by no map."""
    channel = loaded.configuration.environments[name].writeback.events.get("cannot_come", "none")
    maps: Mapping[str, Mapping[str, OutMap | FhirMap]] = {"hl7": loaded.out_maps, "fhir": loaded.fhir_maps}
    own_map = maps.get(channel, {}).get(name)
    if own_map is None:
        return None
    if wanted == "ask_ehr" and not own_map.asks("cannot_come"):
        return (
            f"ask_ehr asks nobody: the map {own_map.name} of writeback.{channel} has no cannot_come.ask, so it reports"
        )
    if wanted == "report" and not own_map.reports("cannot_come"):
        return (
            f"report tells nobody: the map {own_map.name} of writeback.{channel} has cannot_come.ask alone (NO_MESSAGE)"
        )
    return None


def _about_pages(loaded: Loaded) -> Iterator[ConfigurationFinding]:
    """Languages that the patients' pages do not have although somebody wrote words or texts in them."""
    if not loaded.configuration.join.enabled:
        return
    own = loaded.page_words
    for language, keys in missing_page_words(own).items():
        first = f"{', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}"
        yield warning(loaded, ("join", "words"), f"{language} lacks {len(keys)} phrases ({first}): no page is in it")
    known = {language.lower() for language in languages_with(own)}
    for name, environment in loaded.configuration.environments.items():
        if not environment.enabled or environment.visits.join != "ours":
            continue
        for language in TemplateSet.build(loaded.templates[name].texts).languages:
            if known.isdisjoint(tag.lower() for tag in fallbacks(language)):
                fallback = environment.sms.languages.fallback
                why = (
                    f"there are texts in {language}, and no pages: these patients' pages are in {fallback} (join.words)"
                )
                yield warning(loaded, ("environments", name, "visits", "join"), why)


def _is_loopback(environment: Environment) -> bool:
    return environment.listener.host in ("127.0.0.1", "::1", "localhost")
