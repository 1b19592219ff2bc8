"""The documents that the simulated FHIR server publishes, in the shape that Epic's public sandbox gives them; pure."""

from __future__ import annotations

from typing import Any

BASE_PATH = "/api/FHIR/R4"
SIGN_IN_PATH = "/oauth2"


def smart_configuration(origin: str, *, issuer: str, scopes: str = "permission-v2") -> dict[str, Any]:
    """SMART App Launch 2.2.0, `.well-known/smart-configuration`."""
    return {
        **_endpoints(origin),
        "issuer": issuer,
        "capabilities": [
            "launch-ehr",
            "launch-standalone",
            "client-public",
            "client-confidential-symmetric",
            "client-confidential-asymmetric",
            "sso-openid-connect",
            "permission-user",
            scopes,
        ],
        "scopes_supported": ["openid", "fhirUser", "profile"],
    }


def openid_configuration(origin: str, *, issuer: str) -> dict[str, Any]:
    """OpenID Connect Discovery 1.0, section 3."""
    return {
        **_endpoints(origin),
        "issuer": issuer,
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "scopes_supported": ["openid", "profile", "fhirUser"],
    }


def _endpoints(origin: str) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{origin}{SIGN_IN_PATH}/authorize",
        "token_endpoint": f"{origin}{SIGN_IN_PATH}/token",
        "jwks_uri": f"{origin}{SIGN_IN_PATH}/jwks",
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "client_credentials"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": [
            "client_secret_basic",
            "client_secret_post",
            "private_key_jwt",
            "none",
        ],
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
        "authorization_response_iss_parameter_supported": True,
    }


def capability_statement(base_url: str, *, vendor: str) -> dict[str, Any]:
    """FHIR R4, CapabilityStatement; the parts that a client reads."""
    read_and_search = [{"code": "read"}, {"code": "search-type"}]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-30",
        "kind": "instance",
        "software": {"name": vendor, "version": "simulated"},
        "implementation": {"description": "A simulated FHIR server without patients", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [
            {
                "mode": "server",
                "security": {"service": [{"coding": [{"code": "SMART-on-FHIR"}]}]},
                "resource": [
                    {
                        "type": "Appointment",
                        "interaction": [*read_and_search, {"code": "patch"}],
                        "versioning": "versioned-update",
                    },
                    {"type": "Patient", "interaction": read_and_search},
                    *(
                        {"type": kind, "interaction": [{"code": "create"}], "conditionalCreate": True}
                        for kind in ("AppointmentResponse", "Communication", "Observation")
                    ),
                ],
            }
        ],
    }


def conformance(base_url: str, *, vendor: str) -> dict[str, Any]:
    """What a DSTU2 server has in its place."""
    return {
        "resourceType": "Conformance",
        "fhirVersion": "1.0.2",
        "software": {"name": vendor},
        "url": f"{base_url}/metadata",
        "rest": [{"mode": "server", "resource": [{"type": "Appointment", "interaction": [{"code": "read"}]}]}],
    }
