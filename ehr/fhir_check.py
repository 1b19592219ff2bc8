"""Check a FHIR base URL: fetch what its server says about itself, and put it into sentences for the person who typed it.

    <base>/metadata ─> FHIR version, vendor, what it can do with appointments
    <base>/.well-known/smart-configuration ─> can people prove access by signing in?

Sources: FHIR R4, CapabilityStatement (`/metadata`); DSTU2, Conformance; SMART App Launch 2.2.0. The check is advice:
nothing that it finds keeps a configuration from being saved, and it reads no patient's data. Offline it looks at the address's own
words alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from ehr.urls import as_r4, clean, without_appendix, word_of_other_kind
from oauth.discovery import discover_smart
from oauth.faults import FetchCode, FetchFault, OAuthFault
from oauth.fetcher import Fetcher, JsonObject

_LONGEST_NAME: Final = 60
_INTERACTIONS: Final[Mapping[str, str]] = {
    "search-type": "search",
    "read": "read",
    "create": "create",
    "update": "update",
    "patch": "patch",
}
_SHOWN_INTERACTIONS: Final = ("read", "search-type", "create", "update", "patch")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFinding:
    """Something to look at.

    Attributes:
        code: stable: a `FetchCode`, or dstu2, other_version, not_fhir, no_sign_in, duplicate, other_kind, appendix.
        level: error: this is not the address of a usable FHIR server. warning: look once more.
        correction: the URL that is probably meant, to be offered with a button.
    """

    code: str
    level: Literal["error", "warning"]
    sentence: str
    correction: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FhirCheck:
    """What was found at a FHIR base URL.

    Attributes:
        base_url: as it was checked, in the form in which it should be saved.
        asked: false: nobody was asked (offline, or the address is no address).
        summary: one line, such as "FHIR 4.0.1 · Epic · Appointment: read, search · sign-in: yes".
        signs_in: people can prove access by signing in; None: not known.
    """

    base_url: str
    asked: bool
    summary: str
    findings: tuple[CheckFinding, ...] = ()
    fhir_version: str | None = None
    vendor: str | None = None
    appointment: tuple[str, ...] = ()
    signs_in: bool | None = None

    @property
    def good(self) -> bool:
        """Nothing speaks against the address."""
        return not any(finding.level == "error" for finding in self.findings)


def check_offline(base_url: str, *, kind: Literal["production", "test"], others: Mapping[str, str]) -> FhirCheck:
    """What the address's own words tell.

    Args:
        others: the other environments' names and FHIR base URLs.
    """
    return FhirCheck(
        base_url=clean(base_url),
        asked=False,
        summary="Not asked: this installation checks addresses offline.",
        findings=tuple(_of_words(base_url, kind, others)),
    )


def check_fhir(
    fetcher: Fetcher, base_url: str, *, kind: Literal["production", "test"], others: Mapping[str, str]
) -> FhirCheck:
    """What the server at `base_url` says about itself. It blocks for up to three requests and never raises for what it finds."""
    url = clean(base_url)
    findings = _of_words(base_url, kind, others)
    try:
        fetcher.check(url)
        document = fetcher.get(f"{url}/metadata", accept="application/fhir+json, application/json")
    except FetchFault as fault:
        finding = CheckFinding(
            code=fault.code.value, level="error", sentence=fault.sentence, correction=_correction(url, fault)
        )
        asked = fault.code not in (FetchCode.BAD_URL, FetchCode.NOT_HTTPS, FetchCode.USER_INFO)
        return FhirCheck(
            base_url=url, asked=asked, summary="No FHIR server was found there.", findings=(finding, *findings)
        )
    kind_of_document, version = document.get("resourceType"), _text(document.get("fhirVersion"))
    if kind_of_document not in ("CapabilityStatement", "Conformance"):
        finding = CheckFinding(
            code="not_fhir",
            level="error",
            sentence="The server answers, but not as a FHIR server: /metadata holds no CapabilityStatement. Ask the EHR's team "
            "for the FHIR base URL of this environment.",
        )
        return FhirCheck(
            base_url=url, asked=True, summary="No FHIR server was found there.", findings=(finding, *findings)
        )
    no_sign_in = _sign_in(fetcher, url)
    findings = [*_of_version(url, kind_of_document, version), *([no_sign_in] if no_sign_in else []), *findings]
    vendor, appointment = _vendor(document), _interactions(document, "Appointment")
    signs_in = no_sign_in is None
    abilities = ", ".join(appointment) or "nothing"
    return FhirCheck(
        base_url=url,
        asked=True,
        summary=f"FHIR {version or '?'} · {vendor or 'vendor not named'} · Appointment: {abilities} · sign-in: "
        f"{'yes' if signs_in else 'no'}",
        findings=tuple(findings),
        fhir_version=version,
        vendor=vendor,
        appointment=appointment,
        signs_in=signs_in,
    )  # fmt: skip


def _of_words(base_url: str, kind: str, others: Mapping[str, str]) -> list[CheckFinding]:
    findings = []
    below = without_appendix(base_url)
    if below is not None:
        findings.append(
            CheckFinding(
                code="appendix",
                level="warning",
                sentence=f"The address has something after the FHIR base URL. Usually the base URL ends before it: {below}.",
                correction=below,
            )
        )
    for name in sorted(name for name, url in others.items() if url and clean(url) == clean(base_url)):
        findings.append(
            CheckFinding(
                code="duplicate",
                level="warning",
                sentence=f"The environment {name} has this address too. Test and production usually have an address each.",
            )
        )
    word = word_of_other_kind(base_url, kind)
    if word is not None:
        findings.append(
            CheckFinding(
                code="other_kind",
                level="warning",
                sentence=f"This address names {word}, but the environment is {kind}. Check that it is the right server.",
            )
        )
    return findings


def _correction(url: str, fault: FetchFault) -> str | None:
    """Where a server is not found: an old version in the path is the usual reason, then a missing ending."""
    if fault.code is FetchCode.NOT_HTTPS:
        return f"https://{url.removeprefix('http://')}"
    return as_r4(url) if fault.code is FetchCode.STATUS else None


def _of_version(url: str, document_type: str, version: str | None) -> list[CheckFinding]:
    if document_type == "Conformance" or (version or "").startswith(("0.", "1.")):
        name, code = "DSTU2", "dstu2"
    elif (version or "").startswith("4."):
        return []
    else:
        name, code = (
            ("STU3", "other_version")
            if (version or "").startswith("3.")
            else (f"FHIR {version or '?'}", "other_version")
        )
    return [
        CheckFinding(
            code=code,
            level="error",
            sentence=f"The address answers as {name}, and Carebell needs R4 (FHIR 4). The address for R4 usually ends in "
            "/api/FHIR/R4.",
            correction=as_r4(url),
        )
    ]


def _sign_in(fetcher: Fetcher, url: str) -> CheckFinding | None:
    """Why nobody can prove access by signing in; None: they can."""
    try:
        smart = discover_smart(fetcher, url)
    except OAuthFault as fault:
        missing = isinstance(fault, FetchFault) and fault.status in (401, 403, 404)
        why = "it publishes no SMART configuration." if missing else fault.sentence
    else:
        if smart.server is not None:
            return None
        why = f"it {smart.lacks}."
    sentence = f"Nobody can prove access by signing in to this server: {why} Use another proof."
    return CheckFinding(code="no_sign_in", level="warning", sentence=sentence)


def _vendor(document: JsonObject) -> str | None:
    software = document.get("software")
    name = _text(software.get("name")) if isinstance(software, dict) else None
    return name or _text(document.get("publisher"))


def _interactions(document: JsonObject, resource_type: str) -> tuple[str, ...]:
    """What the server can do with a type of resource, in reading order: read, search, create, update, patch."""
    codes = [
        interaction.get("code")
        for rest in _objects(document.get("rest"))
        for resource in _objects(rest.get("resource"))
        if resource.get("type") == resource_type
        for interaction in _objects(resource.get("interaction"))
    ]
    return tuple(_INTERACTIONS[code] for code in _SHOWN_INTERACTIONS if code in codes)


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    """A short printable text; None: it is none."""
    if not isinstance(value, str) or not value.isprintable():
        return None
    return value.strip()[:_LONGEST_NAME] or None
