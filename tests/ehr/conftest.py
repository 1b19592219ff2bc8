"""A simulated FHIR server, and a fetcher that may reach it."""

from __future__ import annotations

from tests.oauth.conftest import fetcher, fhir, signer

__all__ = ["fetcher", "fhir", "signer"]
