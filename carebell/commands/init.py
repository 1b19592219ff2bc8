"""`init`: make a folder with everything that a first start needs."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from carebell.commands.interrupt import interruptible
from carebell.commands.output import print_result
from carebell.exits import Stop
from carebell.samples import sample_messages
from simulator.ehr import make_identity
from store.keys import create_key_file

_ENVIRONMENTS = ("production", "test")  # of the shipped carebell.yaml
PLACEHOLDER = "Placeholder"
"""How the subject of a certificate begins that stands in for the sender's own."""
_DAYS = 3650  # how long a certificate made here is valid

_NEXT = """
Next:
  cd {folder}
  carebell check-config          says what is missing, and what would be sent
  carebell cert show FILE.cer    says whether your certificate would be accepted
  carebell serve                 runs the service and prints the texts on this terminal
"""
_OWN_KEY = "certs/*.cer are placeholders whose keys nobody has. Replace them with your signing certificates."
_DEMO_KEY = "keys/ holds test signing keys. Never use them for real patients."


def init(directory: Path, *, demo: bool, as_json: bool = False) -> None:
    """Write the folder's files. If a file exists already, it is an error and nothing is written."""
    folder = directory.expanduser()
    files = _files(demo)
    key_file = folder / "carebell.key"
    for path in [*(folder / name for name in files), key_file]:
        if path.exists():
            raise Stop(f"{path} exists already; nothing was written")
    with interruptible() as progress:
        folder.mkdir(parents=True, exist_ok=True)
        for number, (name, content) in enumerate(files.items(), 1):
            path = folder / name
            secret = path.suffix == ".pem"
            path.parent.mkdir(exist_ok=True)
            if secret:  # a folder that was there before too
                path.parent.chmod(0o700)
            _write(path, content, secret=secret)
            progress.done = (
                f"{number} of {len(files) + 1} files were written into {folder}; remove them and begin again"
            )
            print_result({"file": str(path), "secret": secret}, f"wrote {path}", as_json=as_json)
        create_key_file(key_file)
    warning = "mode 0400: whoever has it can read the stored numbers; back it up apart from the database"
    print_result({"file": str(key_file), "secret": True}, f"wrote {key_file} ({warning})", as_json=as_json)
    if not as_json:
        print(_DEMO_KEY if demo else _OWN_KEY)
        print(_NEXT.format(folder=folder), end="")


def _files(demo: bool) -> dict[str, bytes]:
    """Relative name -> content, in the order in which they are written."""
    files = {"carebell.yaml": resources.files("config").joinpath("carebell.yaml").read_bytes()}
    if not demo:
        return files | placeholder_certificates()
    now = datetime.now(UTC)
    for environment in _ENVIRONMENTS:
        # Valid for ten years before and after now: `serve --clock` may start a rehearsal at any time.
        name = f"Carebell test signer ({environment})"
        identity = make_identity(name, now=now, days=_DAYS, days_before=_DAYS)
        files[f"certs/{environment}.cer"] = identity.certificate
        files[f"keys/{environment}.key.pem"] = identity.key
    return files | {f"messages/{name}": content for name, content in sample_messages(now).items()}


def placeholder_certificates() -> dict[str, bytes]:
    """`certs/NAME.cer` of each shipped environment. The keys are discarded: a configuration can name the certificate, but
    nobody can sign with it."""
    now = datetime.now(UTC)
    return {
        f"certs/{environment}.cer": make_identity(
            f"{PLACEHOLDER} for {environment}: put your own certificate here", now=now, days=_DAYS
        ).certificate
        for environment in _ENVIRONMENTS
    }


def _write(path: Path, content: bytes, *, secret: bool) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
