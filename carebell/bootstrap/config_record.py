"""Record each configuration that takes effect: its version and text, and in the audit log every key that changed.

Secrets, and telephone numbers of `allow_list` and `force_to`, are recorded as `changed`: what is kept of them is a keyed hash that
only tells whether a later value is another one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from carebell.maintenance.certificates import registered
from config import snapshot
from config.digests import digest_of
from config.document import parse_document
from config.files import client_secret, gateway_secrets
from config.gateways import SECRETS
from config.load import Loaded
from config.model import write_duration
from config.portal_settings import CLIENT_SECRET_FILE
from config.problems import ConfigurationError
from config.redaction import redacted, shows_secrets
from config.regular_file import read_regular
from store import audit, config_versions
from store.audit import AuditAction, Author
from store.config_versions import ConfigVersion
from store.crypto import Undecipherable
from store.engine import Transaction
from store.keys import KeyRing
from store.vault import Vault

CHANGED: Final = "changed"
_DURATION: Final = re.compile(
    r"P(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigFacts:
    """What is recorded of one configuration. Made before the transaction, because it reads files.

    Attributes:
        file: the content of carebell.yaml; None: it had changed again before it was read. mark: `mark_of` it.
        others: as `store.config_versions.ConfigVersion`.
    """

    version: str
    file: bytes | None = field(repr=False)
    mark: str | None = field(repr=False)
    text: str | None = field(repr=False)
    content: str = field(repr=False)
    secrets: str = field(repr=False)
    certificates: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyChange:
    """One key: its path with dots, and its values as text; None: it was not there."""

    key: str
    before: str | None
    after: str | None

    @property
    def environment(self) -> str | None:
        """The environment that it belongs to."""
        section, _, rest = self.key.partition(".")
        return rest.partition(".")[0] if section in ("environments", "templates", "field_maps") and rest else None


def facts_of(loaded: Loaded, ring: KeyRing, now: datetime) -> ConfigFacts:
    """Blocking: reads the files of the configuration."""
    folder = f"{loaded.path.absolute().parent}/"
    content = json.loads(snapshot.to_text(loaded))
    certificates: dict[str, list[str]] = {}
    for entry in registered(loaded, now):
        certificates.setdefault(entry.environment, []).append(entry.certificate.thumbprint)
    file = _file(loaded)
    return ConfigFacts(
        version=loaded.version,
        file=file,
        mark=None if file is None else mark_of(ring, digest_of(file)),
        text=None if file is None else _text(loaded, file),
        content=_written(_relative(content, folder)),
        secrets=_written({key: ring.secret_key(key, value) for key, value in _secrets(loaded)}),
        certificates=_written({name: sorted(thumbprints) for name, thumbprints in certificates.items()}),
    )


def mark_of(ring: KeyRing, digest: bytes) -> str:
    """Names a file's content by its digest, in the database and in forms. Keyed: no number in the file can be guessed from it."""
    return ring.secret_key("carebell.yaml", digest.hex())


def record(
    conn: Transaction,
    facts: ConfigFacts,
    author: Author,
    *,
    at: datetime,
    source: str = "file",
    comment: str | None = None,
    action: AuditAction = AuditAction.CONFIG_ACTIVATE,
    replaced: str | None = None,
    base_mark: str | None = None,
    sealed: bytes | None = None,
) -> bool:
    """Add it to the history and to the audit log, unless it is what was added last; whether it was added.

    What a command wrote is in the history from then on. When a service puts it in force, that is an entry of the audit log alone.

    Args:
        source: `file`; `command` for `config set` and `config restore`; `portal`.
        action: CONFIG_ACTIVATE when it takes effect; CONFIG_WRITE when a command or the portal wrote it.
        replaced: the version that the writer found in the file; None: it was broken. base_mark: `mark_of` what the file held.
        sealed: of `sealed_text`; None: only the text without secrets is kept.
    """
    audit.lock(conn)
    last = config_versions.newest(conn)
    if last is not None and _same(last, facts, action):
        if action is AuditAction.CONFIG_WRITE:
            if base_mark is not None and last.base_mark is None:
                config_versions.note_base(conn, last.seq, base_mark)
            # A service that took the file before the command came here has recorded it as an edit: the person is added.
            audit.append(conn, author, action, subject="configuration", before=replaced, after=last.version, at=at)
        elif last.source != "file" and not audit.has_activated(conn, last.version, since=last.at):
            audit.append(conn, author, action, subject="configuration", before=last.base, after=last.version, at=at)
        return False
    config_versions.add(
        conn,
        ConfigVersion(
            version=facts.version,
            base=replaced or (None if last is None else last.version),
            at=at,
            actor=author.who,
            origin=author.origin,
            source=source,
            comment=comment,
            text=facts.text,
            content=facts.content,
            secrets=facts.secrets,
            certificates=facts.certificates,
            sealed=sealed,
            mark=facts.mark,
            base_mark=base_mark,
        ),
    )
    if last is None or last.version != facts.version:
        before = None if last is None else last.version
        audit.append(
            conn,
            author,
            action,
            subject="configuration",
            before=before,
            after=facts.version,
            at=at,
        )
    if last is not None:
        for change in changes(last.content, facts.content, last.secrets, facts.secrets):
            audit.append(
                conn,
                author,
                AuditAction.CONFIG_CHANGE,
                subject=change.key,
                environment=change.environment,
                before=change.before,
                after=change.after,
                at=at,
            )
    for name, thumbprint, action in _certificates("{}" if last is None else last.certificates, facts.certificates):
        audit.append(conn, author, action, subject=thumbprint, environment=name, at=at)
    return True


def changes(before: str, after: str, secrets_before: str = "{}", secrets_after: str = "{}") -> list[KeyChange]:
    """The keys in which two contents of `ConfigFacts` differ, by key; secrets as `changed`."""
    old, new = dict(_leaves(_sections(before))), dict(_leaves(_sections(after)))
    differing = [
        KeyChange(key=key, before=old.get(key), after=new.get(key))
        for key in sorted(old.keys() | new.keys())
        if old.get(key) != new.get(key)
    ]
    hidden_before, hidden_after = json.loads(secrets_before), json.loads(secrets_after)
    hidden = [
        KeyChange(
            key=key,
            before=CHANGED if key in hidden_before else None,
            after=CHANGED if key in hidden_after else None,
        )
        for key in sorted(hidden_before.keys() | hidden_after.keys())
        if hidden_before.get(key) != hidden_after.get(key)
    ]
    keys = {change.key for change in hidden}
    return sorted([*hidden, *(change for change in differing if change.key not in keys)], key=lambda change: change.key)


def _same(last: ConfigVersion, facts: ConfigFacts, action: AuditAction) -> bool:
    """Whether it is what was added last. Of what a command or the portal writes, the comments count too."""
    if action is AuditAction.CONFIG_WRITE and last.mark != facts.mark:
        return False
    return (last.version, last.secrets, last.certificates) == (facts.version, facts.secrets, facts.certificates)


def sealed_text(
    conn: Transaction,
    vault: Vault,
    facts: ConfigFacts,
    at: datetime,
    action: AuditAction = AuditAction.CONFIG_ACTIVATE,
) -> bytes | None:
    """The text as it is, for `record`, if there is something new to add: None if not.

    To be called before anything else of the transaction writes into the audit log, because the day's key may have to be made
    (`store.lock_order`).
    """
    last = config_versions.newest(conn)
    if facts.file is None or (last is not None and _same(last, facts, action)):
        return None
    try:
        return config_versions.seal_text(conn, vault, facts.version, at, facts.file)
    except Undecipherable:  # a foreign key file: what it seals would be lost with the right one
        return None


def _file(loaded: Loaded) -> bytes | None:
    """The file's content as it was read; None: it holds something else by now, which will be a version of its own."""
    with suppress(OSError, ValueError):
        content = read_regular(loaded.path)
        if digest_of(content) == loaded.digests.get(loaded.path):
            return content
    return None


def _text(loaded: Loaded, content: bytes) -> str | None:
    """The file's text without secrets; None: its spelling hides what must not be kept."""
    with suppress(ValueError, ConfigurationError):
        text = redacted(content.decode("utf-8-sig"), loaded.configuration)
        if not shows_secrets(parse_document(text.encode(), str(loaded.path)).values):
            return text
    return None


def _secrets(loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Key -> value of everything that is not recorded in the clear. A file that cannot be read now has none."""
    for secret in SECRETS:
        with suppress(ConfigurationError):
            values = [value.get_secret_value() for value in gateway_secrets(loaded, secret)]
            if values:
                yield ".".join(map(str, secret.keys)), _written(values)
    with suppress(ConfigurationError):
        if (value := client_secret(loaded)) is not None:
            yield ".".join(map(str, CLIENT_SECRET_FILE)).removesuffix("_file"), value.get_secret_value()
    for name, environment in loaded.configuration.environments.items():
        key = f"environments.{name}"
        if environment.sms.allow_list is not None:
            yield f"{key}.sms.allow_list", _written(environment.sms.allow_list)
        if environment.sms.force_to is not None:
            yield f"{key}.sms.force_to", environment.sms.force_to
        tls = environment.listener.tls
        for part, path in (("certificate", tls.certificate), ("key", tls.key)) if tls is not None else ():
            yield f"{key}.listener.tls.{part} (content)", loaded.digests.get(path, b"").hex()


def _certificates(before: str, after: str) -> Iterator[tuple[str, str, AuditAction]]:
    old, new = json.loads(before), json.loads(after)
    for name in sorted(old.keys() | new.keys()):
        had, has = set(old.get(name, ())), set(new.get(name, ()))
        yield from ((name, thumbprint, AuditAction.CERTIFICATE_ADD) for thumbprint in sorted(has - had))
        yield from ((name, thumbprint, AuditAction.CERTIFICATE_REMOVE) for thumbprint in sorted(had - has))


def _sections(content: str) -> dict[str, Any]:
    """The configuration's own keys at the top, as carebell.yaml has them; texts and field maps by environment."""
    written = json.loads(content)
    return {
        **written["configuration"],
        **{name: written[name] for name in ("templates", "field_maps", "page_words") if written.get(name)},
    }


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Key path -> value as text. A list is one value."""
    if isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _leaves(below, f"{key}.{name}" if key else str(name))
    else:
        yield key, _as_written(value) if isinstance(value, str) else _written(value)


def _as_written(value: str) -> str:
    """A duration as carebell.yaml has it, `2h`, where the stored values have ISO 8601's `PT2H`; any other text as it is."""
    match = _DURATION.fullmatch(value)
    if match is None or value == "P":
        return value
    parts = {unit: float(number) for unit, number in match.groupdict().items() if number is not None}
    return write_duration(timedelta(**parts))


def _relative(value: Any, folder: str) -> Any:
    """Paths below the configuration's folder without it, so that two nodes with the same files write the same."""
    if isinstance(value, Mapping):
        return {name: _relative(below, folder) for name, below in value.items()}
    if isinstance(value, list):
        return [_relative(item, folder) for item in value]
    return value.removeprefix(folder) if isinstance(value, str) else value


def _written(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "), sort_keys=isinstance(value, dict))
