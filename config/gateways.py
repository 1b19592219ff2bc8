"""`gateway`: how texts are sent. It has a section for each kind of gateway with settings, and the list of secrets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, SecretStr

from config.addresses import is_loopback
from config.problems import Keys
from config.section import Section
from config.values import Between, Duration, ServiceUrl

RequestTime = Annotated[Duration, AfterValidator(Between("1s", "45s"))]
"""A text is claimed for two minutes. Connecting and the answer may each take this long, and must be over before."""


class TwilioAccount(Section):
    """The Twilio account that sends."""

    account_sid: str = Field(default="", pattern=r"^(AC[0-9a-zA-Z]{32})?$")
    """AC and 32 letters or digits; shown on the console's first page."""
    auth_token_file: Path | None = None
    """One token a line; the first signs requests, all of them validate callbacks (rotation)."""
    auth_token: SecretStr | None = None
    """The token itself, from the environment variable CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN; refused in a file."""
    api_base_url: ServiceUrl = "https://api.twilio.com"
    """Twilio's API, or a simulator or proxy in its place."""
    public_url: ServiceUrl | None = None
    """The public URL for Twilio's callbacks; their signature covers this URL."""
    timeout: RequestTime = timedelta(seconds=10)
    """For one request. After it the text is `unknown` and is looked up."""
    on_ambiguous: Literal["verify_then_retry", "never_retry"] = "verify_then_retry"
    """For a cancellation that stays `unknown` after the lookup: send it once more, or never."""


class HttpGatewayAccount(Section):
    """A gateway that takes texts as JSON over HTTPS (docs/reference/http-gateway.md)."""

    url: ServiceUrl | None = None
    """Where texts are posted; https, or http to this machine. A redirect is never followed."""
    token_file: Path | None = None
    """The bearer token, on the first line."""
    token: SecretStr | None = None
    """The token itself, from the environment variable CAREBELL_GATEWAY__HTTP__TOKEN; refused in a file."""
    certificate_authority: Path | None = None
    """PEM file of the private authority that issued the gateway's certificate; null: the system's authorities."""
    public_url: ServiceUrl | None = None
    """Where the gateway's webhooks reach us; null: none are asked for, and every text's fate is asked for after an hour."""
    webhook_secret_file: Path | None = None
    """One secret a line; webhooks signed with any of them are genuine (rotation)."""
    webhook_secret: SecretStr | None = None
    """The secret itself, from the environment variable CAREBELL_GATEWAY__HTTP__WEBHOOK_SECRET; refused in a file."""
    timeout: RequestTime = timedelta(seconds=10)
    """For connecting, and again for the whole answer. After it the text is `unknown` and is looked up."""


class GatewaySection(Section):
    """How texts are sent."""

    kind: Literal["console", "file", "twilio", "http"] = "console"
    """console prints them, file appends them to `file` as JSON lines, twilio sends them through Twilio, http posts them as JSON."""
    file: Path = Path("outbox.jsonl")
    """For kind: file. It holds numbers and texts."""
    twilio: TwilioAccount = TwilioAccount()
    http: HttpGatewayAccount = HttpGatewayAccount()
    reply_words: Path | None = None
    """Your own YAML file with more words of STOP, START and HELP, in the form of config/reply_words/*.yaml. Read at the start."""
    segments_per_second: dict[str, Annotated[float, Field(gt=0, le=1000)]] = Field(default_factory=dict)
    """Per sender (`from`): its rate in SMS segments. Default by kind of number: long code 1, toll-free 3, short code 100."""

    @property
    def service_url(self) -> str | None:
        """The URL that texts are sent to; None: they stay on this machine."""
        return {"twilio": self.twilio.api_base_url, "http": self.http.url}.get(self.kind)

    @property
    def public_url(self) -> str | None:
        """Where its webhooks reach us; None: it has none, or none are asked for."""
        return {"twilio": self.twilio.public_url, "http": self.http.public_url}.get(self.kind)

    @property
    def is_live(self) -> bool:
        """Whether real telephones may receive texts: the gateway is not a simulator on this machine."""
        return self.service_url is not None and not is_loopback(self.service_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySecret:
    """A secret of one kind of gateway: a file of its own (`<name>_file`), or an environment variable over `<name>`."""

    kind: Literal["twilio", "http"]
    name: str

    @property
    def keys(self) -> Keys:
        return ("gateway", self.kind, self.name)

    @property
    def file_keys(self) -> Keys:
        return ("gateway", self.kind, f"{self.name}_file")

    @property
    def variable(self) -> str:
        return "CAREBELL_" + "__".join(str(key).upper() for key in self.keys)

    def value(self, section: GatewaySection) -> SecretStr | None:
        value: SecretStr | None = getattr(getattr(section, self.kind), self.name)
        return value

    def file(self, section: GatewaySection) -> Path | None:
        path: Path | None = getattr(getattr(section, self.kind), f"{self.name}_file")
        return path


AUTH_TOKEN: Final = GatewaySecret(kind="twilio", name="auth_token")
BEARER_TOKEN: Final = GatewaySecret(kind="http", name="token")
WEBHOOK_SECRET: Final = GatewaySecret(kind="http", name="webhook_secret")
SECRETS: Final = (AUTH_TOKEN, BEARER_TOKEN, WEBHOOK_SECRET)
