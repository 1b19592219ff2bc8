"""Who acts, and from where, for the audit log: a person at a command or the portal, the service, or who edited carebell.yaml.

A person is the account that signed in, also after `sudo` and `su`. The kernel keeps that account (loginuid, set by PAM) and nobody
but root can change it. Where it is unset, as in a container, `SUDO_USER` is believed from root alone; otherwise the account that
runs the command counts. What only the environment says (`ssh=`, `sudo=`) is noted as said.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from store.audit import Author

LOGIN_UID: Final = Path("/proc/self/loginuid")
_UNSET: Final = 2**32 - 1
_LONGEST: Final = 64


def person(environ: Mapping[str, str] = os.environ, *, uid: int | None = None, login_uid: Path = LOGIN_UID) -> Author:
    """The person who runs this command."""
    uid = os.getuid() if uid is None else uid
    account, sudo = account_of(uid), _clean(environ.get("SUDO_USER"))
    signed_in = _login(login_uid)
    if signed_in is not None:
        name = account_of(signed_in)
    elif uid == 0 and sudo is not None:
        name = sudo
    else:
        name = account
    ssh = _clean(environ.get("SSH_CONNECTION", "").partition(" ")[0])
    places = {
        "host": os.uname().nodename,
        "uid": str(uid),
        "as": account if account != name else None,
        "sudo": sudo,
        "tty": _terminal(),
        "ssh": ssh,
    }
    return Author(who=f"cli:{name}", origin=_places(places))


def service(node: str) -> Author:
    """The service itself, on a node."""
    return Author(who="service", origin=_places({"node": node, "uid": str(os.getuid()), "as": account_of(os.getuid())}))


def housekeeping(node: str) -> Author:
    """The rounds of one node that delete what is due."""
    return Author(who="housekeeping", origin=_places({"node": node}))


def gateway(way: str) -> Author:
    """The gateway: by a webhook (`webhook`), or by its answer to a text (`answer`)."""
    return Author(who="gateway", origin=f"way={way}")


def portal(login: str | None, address: str) -> Author:
    """Somebody at the portal.

    Args:
        login: the user name; None: nobody's, such as one that somebody mistyped, which may be a password.
        address: the peer's, behind trusted proxies too.
    """
    return Author(who=f"portal:{login or 'nobody'}", origin=_places({"peer": _clean(address)}))


def editor(file: Path, node: str) -> Author:
    """Whoever edited the configuration: the owner of the file, which is all that a file tells."""
    owner = "unknown"
    with suppress(OSError):
        owner = account_of(file.stat().st_uid)
    return Author(who=f"file:{owner}", origin=_places({"node": node, "file": str(file)}))


def account_of(uid: int) -> str:
    """The account's name; `uid<number>` if it has none, as in a container without a passwd entry."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid{uid}"


def _login(login_uid: Path) -> int | None:
    with suppress(OSError, ValueError):
        number = int(login_uid.read_text("ascii"))
        return number if number != _UNSET else None
    return None


def _terminal() -> str | None:
    for descriptor in (0, 1, 2):
        with suppress(OSError):
            return os.ttyname(descriptor)
    return None


def _clean(written: str | None) -> str | None:
    """What the environment says, fit for one word of a line; None: nothing."""
    word = "".join(letter for letter in written or "" if letter.isprintable() and not letter.isspace())
    return word[:_LONGEST] or None


def _places(places: Mapping[str, str | None]) -> str:
    return " ".join(f"{name}={value}" for name, value in places.items() if value)
