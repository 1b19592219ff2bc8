"""The key ring: the master keys that wrap day keys, and the pepper of the phone index; one file outside the database.

The file is JSON, mode 0400, written once by `create_key_file` (`carebell init`) and replaced as a whole by `key_rotation.rotate`.
It holds one master key. It holds a second one only during a rotation, or after an interrupted rotation.

    KeyFault
     +- KEY_FILE_EXISTS, KEY_FILE_MISSING, KEY_FILE_UNREADABLE, KEY_FILE_OPEN_TO_OTHERS, KEY_FILE_DAMAGED, KEY_FILE_BUSY
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from config.regular_file import read_regular
from parser.phone_number import PhoneNumber

_KEY_BYTES = 32
_VERSION = 1


class KeyFault(Exception):
    """The key ring cannot be used.

    Attributes:
        code: stable, from the list in this module's docstring.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys in memory. The repr shows no key.

    Attributes:
        current: number of the master key that wraps new day keys: 1 at first, +1 with each rotation.
        masters: number -> 32 bytes.
        pepper: 32 bytes. It is never rotated, because opt-outs are stored as HMACs with it after the phone is deleted.
    """

    current: int
    masters: dict[int, bytes] = field(repr=False)
    pepper: bytes = field(repr=False)

    def phone_key(self, phone: PhoneNumber) -> str:
        """HMAC-SHA256(pepper, E.164) as 64 hex digits. It recognises a number without storing it."""
        return hmac.digest(self.pepper, phone.e164().encode("ascii"), "sha256").hex()

    def mark(self) -> str:
        """HMAC-SHA256(pepper, "key file") as 64 hex digits: the same after every rotation, another for another key file."""
        return hmac.new(self.pepper, b"key file", hashlib.sha256).hexdigest()

    def secret_key(self, name: str, value: str) -> str:
        """HMAC-SHA256(pepper, "secret", a secret's name and its value) as 64 hex digits. It tells only whether it changed."""
        return hmac.new(self.pepper, f"secret {name} {value}".encode(), hashlib.sha256).hexdigest()

    def proof_key(self, *of: str) -> bytes:
        """HMAC-SHA256(pepper, "proof" and what is to be proved), 32 bytes: nobody else can know it."""
        return hmac.new(self.pepper, "\0".join(("proof", *of)).encode(), hashlib.sha256).digest()

    def throttle_key(self, scope: str, *whom: str) -> str:
        """HMAC-SHA256(pepper, what is counted and for whom) as 64 hex digits: the database shows no address and no user name."""
        counted = "\0".join(("throttle", scope, *whom))
        return hmac.new(self.pepper, counted.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def reply_key(self, message_id: str) -> str:
        """HMAC-SHA256(pepper, "reply" and the gateway's message id) as 64 hex digits. It never equals a number's key."""
        return hmac.new(self.pepper, f"reply {message_id}".encode(), hashlib.sha256).hexdigest()

    def link_key(self, token: str) -> str:
        """HMAC-SHA256(pepper, "link" and a join link's token) as 64 hex digits: what the database knows the link by."""
        return hmac.new(self.pepper, f"link {token}".encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def new_key_ring() -> KeyRing:
    """A key ring of fresh random keys, in memory only."""
    return KeyRing(current=1, masters={1: secrets.token_bytes(_KEY_BYTES)}, pepper=secrets.token_bytes(_KEY_BYTES))


def create_key_file(path: Path) -> KeyRing:
    """Make a new key ring and write it with mode 0400. An existing file is never overwritten."""
    ring = new_key_ring()
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        raise KeyFault("KEY_FILE_EXISTS", f"{path} exists already and is not overwritten.") from None
    except OSError as fault:
        raise KeyFault("KEY_FILE_UNREADABLE", f"{path} cannot be written: {fault.strerror}.") from None
    _write(handle, ring)
    _sync_folder(path)
    return ring


def read_key_file(path: Path) -> KeyRing:
    """Read a key ring. A file that others may read is refused, because with it anybody can read every stored number."""
    try:
        mode = path.stat().st_mode
        content = read_regular(path).decode("utf-8")
    except FileNotFoundError:
        raise KeyFault(
            "KEY_FILE_MISSING",
            f"{path} is missing: restore it from its backup. In a new installation `carebell init` makes it.",
        ) from None
    except (OSError, UnicodeDecodeError) as fault:
        why = fault.strerror if isinstance(fault, OSError) else "it is not a text file"
        raise KeyFault("KEY_FILE_UNREADABLE", f"{path} cannot be read: {why}.") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyFault("KEY_FILE_OPEN_TO_OTHERS", f"{path} can be read by others; run: chmod 0400 {path}")
    return _parse(path, content)


def add_master_key(path: Path) -> KeyRing:
    """Write a new master key into the file and make it the current one; the first step of `rotation.rotate`."""
    before = read_key_file(path)
    number = max(before.masters) + 1
    masters = {**before.masters, number: secrets.token_bytes(_KEY_BYTES)}
    ring = KeyRing(current=number, masters=masters, pepper=before.pepper)
    _replace(path, ring)
    return ring


def drop_old_master_keys(path: Path) -> KeyRing:
    """Remove every master key but the current one from the file; the last step of `rotation.rotate`."""
    before = read_key_file(path)
    ring = KeyRing(
        current=before.current, masters={before.current: before.masters[before.current]}, pepper=before.pepper
    )
    _replace(path, ring)
    return ring


def _parse(path: Path, content: str) -> KeyRing:
    damaged = KeyFault("KEY_FILE_DAMAGED", f"{path} is not a key ring of this version; restore it from a backup.")
    try:
        written = json.loads(content)
        masters = {int(number): bytes.fromhex(key) for number, key in written["masters"].items()}
        ring = KeyRing(current=int(written["current"]), masters=masters, pepper=bytes.fromhex(written["pepper"]))
        version = int(written["version"])
    except (ValueError, KeyError, TypeError, AttributeError):
        raise damaged from None
    lengths = {len(key) for key in (*masters.values(), ring.pepper)}
    if version != _VERSION or ring.current not in masters or lengths != {_KEY_BYTES}:
        raise damaged
    return ring


def _write(handle: int, ring: KeyRing) -> None:
    masters = {str(number): key.hex() for number, key in ring.masters.items()}
    content = {"version": _VERSION, "current": ring.current, "masters": masters, "pepper": ring.pepper.hex()}
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _replace(path: Path, ring: KeyRing) -> None:
    """Write a new file and rename it: after a crash there is the old or the new ring, never half of one. The owner is kept."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        owner = path.stat()
        try:
            _write(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400), ring)
            _keep_owner(beside, owner)
            beside.replace(path)
        except OSError:
            beside.unlink(missing_ok=True)
            raise
    except OSError as fault:
        why = (fault.strerror or "no reason given").lower()
        raise KeyFault("KEY_FILE_UNREADABLE", f"{path} cannot be replaced: {why}; it was not changed.") from None
    _sync_folder(path)


def _keep_owner(path: Path, owner: os.stat_result) -> None:
    """Keep the owner, so that the service's account can read the file after `sudo carebell keys rotate`."""
    written = path.stat()
    if (written.st_uid, written.st_gid) != (owner.st_uid, owner.st_gid):
        os.chown(path, owner.st_uid, owner.st_gid)


def _sync_folder(path: Path) -> None:
    handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
