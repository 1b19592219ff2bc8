"""`portal`: the staff's pages, who may sign in to them and how; and `approval` of an environment, which is given there."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from config.problems import Keys
from config.section import Section
from config.values import Between, Duration, IssuerUrl, ListenHost, Login, Network, Origin, Word, Words

RoleName = Literal["administrator", "analyst", "support", "auditor"]
CLIENT_SECRET_FILE: Final[Keys] = ("portal", "sign_in", "oidc", "client_secret_file")


class PortalSession(Section):
    """How long a sign-in lasts."""

    idle: Annotated[Duration, AfterValidator(Between("1m", "1d"))] = timedelta(minutes=30)
    """It ends after this long without a click."""
    absolute: Annotated[Duration, AfterValidator(Between("5m", "30d"))] = timedelta(hours=12)
    """It ends after this long in any case."""
    confirm_again: Annotated[Duration, AfterValidator(Between("1m", "1h"))] = timedelta(minutes=10)
    """Before an act that is hard to undo the password or code is asked for again, unless it was given this recently."""


class LocalSignIn(Section):
    """User names and passwords that Carebell keeps itself."""

    enabled: bool = True
    second_factor: Literal["totp", "none"] = "totp"
    """totp: also a code from an authenticator app, and a password of at least 8 characters. none: at least 15 characters."""


class OidcSignIn(Section):
    """Sign-in with the organisation's own provider (OpenID Connect)."""

    name: Words
    """Stands on the button: "Sign in with ..."."""
    issuer: IssuerUrl
    """Exactly as the provider writes it in its tokens; its settings are read from `/.well-known/openid-configuration` below it."""
    client_id: Word
    """That the provider gave to Carebell. Its redirect URI there is `public_url` with `/sign-in/oidc/callback`."""
    client_secret_file: Path
    """The client secret, alone on a line; mode 0400."""
    role_claim: Word = "roles"
    """The claim of the ID token that decides the role."""
    roles: dict[Word, RoleName] = Field(min_length=1)
    """Value of that claim to role. Without a match: no access."""
    networks: list[Network] = Field(default_factory=list)
    """Private networks (CIDR) where a provider inside the hospital may be; empty: it must be on the public internet."""


class SignIn(Section):
    """Who may sign in, and how. At least one way must be open."""

    local: LocalSignIn = LocalSignIn()
    oidc: OidcSignIn | None = None
    """null: none."""


class PortalSection(Section):
    """The staff's web pages, on a port of their own: `http` faces the internet, these pages should not."""

    enabled: bool = False
    host: ListenHost = "127.0.0.1"
    """Address to listen on; 127.0.0.1 behind a reverse proxy that does TLS."""
    port: int = Field(default=8443, ge=0, le=65535)
    """0 takes any free port."""
    public_url: Origin | None = None
    """Where browsers reach the pages: https (http for this machine only), no path. Links, cookies and the check of the Host header
    use it. null: only a browser on this machine, at http://HOST:PORT."""
    trusted_proxies: list[Network] = Field(default_factory=list)
    """Proxies (CIDR) whose X-Forwarded-For tells the client's address, for the limits of sign-in; empty: the peer itself counts."""
    session: PortalSession = PortalSession()
    sign_in: SignIn = SignIn()
    edits: Literal["file", "read_only"] = "file"
    """file: changes made on the pages are written into this file. read_only: the pages offer a patch to download."""

    def url_at(self, port: int) -> str:
        """Where browsers reach the pages; `port` is the one that is listened on."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{port}"

    @property
    def client_secret_file(self) -> Path | None:
        """The provider's client secret; None: there is no provider."""
        return None if self.sign_in.oidc is None else self.sign_in.oidc.client_secret_file


class Approval(Section):
    """Who must approve what this environment is connected to, before its texts are sent."""

    required: bool = False
    """true: texts wait until an approver has approved the connection; a change of times or words needs no approval."""
    approvers: list[Login] = Field(default_factory=list)
    """User names of the portal."""
    client_id: Word | None = None
    """That the EHR gave to Carebell for proving access by signing in there. Its redirect URI is `portal.public_url` with
    `/approval/callback`. null: access is proved another way."""
    check: Literal["online", "offline"] = "online"
    """online: the FHIR base URL is fetched and checked before an approval. offline: Carebell reaches no EHR over the internet."""
