"""What goes wrong with another organisation's server, each with a stable code and sentences for the person at the screen.

    OAuthFault           code, sentence
    ├── FetchFault       the server was not asked, or its answer cannot be used
    ├── SignInFault      the server answered, and the sign-in does not prove what it should
    └── SsoExtraMissing  this installation lacks the library that verifies signed answers

A sentence says what happened, why, and what to do. It holds no token, code, state or secret.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class FetchCode(StrEnum):
    """Why a server was not asked, or its answer cannot be used."""

    BAD_URL = "bad_url"
    NOT_HTTPS = "not_https"
    USER_INFO = "user_info"
    NAME_UNKNOWN = "name_unknown"
    ADDRESS_REFUSED = "address_refused"
    NOT_CONNECTED = "not_connected"
    CERTIFICATE = "certificate"
    TLS = "tls"
    TOO_SLOW = "too_slow"
    TOO_LARGE = "too_large"
    REDIRECT = "redirect"
    STATUS = "status"
    NOT_JSON = "not_json"
    NOT_HTTP = "not_http"
    CONNECTION_LOST = "connection_lost"


class SignInCode(StrEnum):
    """Why a sign-in proves nothing."""

    DISCOVERY = "discovery"
    ISSUER = "issuer"
    STATE = "state"
    EXPIRED = "expired"
    CALLBACK = "callback"
    PROVIDER = "provider"
    CODE_REFUSED = "code_refused"
    TOKEN_ANSWER = "token_answer"  # noqa: S105 (a code, no token)
    NO_ID_TOKEN = "no_id_token"  # noqa: S105 (a code, no token)
    KEYS = "keys"
    ALGORITHM = "algorithm"
    SIGNATURE = "signature"
    MALFORMED = "malformed"
    AUDIENCE = "audience"
    NONCE = "nonce"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 (a code, no token)
    TOKEN_TIME = "token_time"  # noqa: S105 (a code, no token)
    SUBJECT = "subject"


class OAuthFault(Exception):
    """Something about another organisation's server.

    Attributes:
        code: stable, for logs and tests.
        sentence: what happened, why, and what to do; plain text of at most some 600 characters.
    """

    code: FetchCode | SignInCode | None = None

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class FetchFault(OAuthFault):
    """The server was not asked, or its answer cannot be used.

    Attributes:
        status: the HTTP status of an answer that came; None: none came.
        location: where a redirect leads, without query, if it is an https address; it was not followed.
    """

    code: FetchCode

    def __init__(
        self, code: FetchCode, sentence: str, *, status: int | None = None, location: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status
        self.location = location


class SignInFault(OAuthFault):
    """The server answered, and the sign-in does not prove what it should.

    Attributes:
        provider_error: the provider's own code of RFC 6749 or OpenID Connect, if it gave one.
        provider_words: the provider's own description, printable, at most 200 characters; show it as a quotation.
    """

    code: SignInCode

    def __init__(
        self, code: SignInCode, sentence: str, *, provider_error: str | None = None, provider_words: str | None = None
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.provider_error = provider_error
        self.provider_words = provider_words


INSTALL_SSO: Final = (
    "Sign-in with an identity provider needs a library that is not installed. Install Carebell with its extra `sso` "
    "(pip install 'carebell[sso]') and start it again."
)


class SsoExtraMissing(OAuthFault):
    """The extra `sso` is not installed."""

    def __init__(self) -> None:
        super().__init__(INSTALL_SSO)
