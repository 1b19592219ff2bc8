"""The platform wheel: `CAREBELL_MYPYC=1` compiles the modules below with mypyc. Without it the wheel is pure Python.

`make compiled` is the command for it. A compiled module is in the wheel as its source too, for tracebacks; Python takes the
compiled one. Which modules are worth it: docs/decisions/0017-compiled-where-it-pays.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

from setuptools import Extension, setup

ROOT: Final = Path(__file__).parent
GROUPS: Final = {
    "carebell_reading": (
        "certs/algorithms.py",
        "certs/dtm.py",
        "certs/envelope.py",
        "certs/keyring.py",
        "certs/message.py",
        "certs/msh.py",
        "certs/unwrap.py",
        "certs/verify.py",
        "listener/framing.py",
        "listener/reply.py",
        "parser/*.py",
    ),
    "carebell_storing": (
        "carebell/ids.py",
        "carebell/inbound/handler.py",
        "carebell/inbound/process.py",
        "carebell/inbound/unit_of_work.py",
        "carebell/inbound/validate.py",
        "scheduler/*.py",
        "store/appointment_repository.py",
        "store/crypto.py",
        "store/outbox_row.py",
        "store/prepared.py",
        "store/records.py",
        "store/vault.py",
    ),
}
"""Library -> patterns under the root. A group's modules call each other directly; the groups build at the same time."""
INTERPRETED: Final = (
    "parser/answers.py",
    "parser/conformance.py",
    "parser/display.py",
    "scheduler/clock.py",
    "scheduler/rehearsal.py",
    "scheduler/reply.py",
)
"""Of these patterns, what stays Python: a message does not pass through it."""


def compiled_modules() -> dict[str, list[str]]:
    """Library -> paths under the root. ValueError: a pattern fits nothing, since a module was moved."""
    groups = {}
    for group, patterns in GROUPS.items():
        paths = []
        for pattern in patterns:
            matched = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern))
            if not matched:
                raise ValueError(f"{pattern}: nothing to compile there")
            paths += [path for path in matched if path not in INTERPRETED and not path.endswith("/__init__.py")]
        groups[group] = paths
    return groups


def _extensions() -> list[Extension]:
    from mypyc.build import mypycify  # of the development lock; only this wheel needs it

    os.chdir(ROOT)
    groups = compiled_modules()
    extensions: list[Extension] = mypycify(
        [path for paths in groups.values() for path in paths],
        opt_level="2",
        debug_level="0",
        separate=[(paths, group) for group, paths in groups.items()],
    )
    for extension in extensions:
        extension.extra_compile_args.append(
            "-Wno-error"
        )  # another compiler's new warning must not stop an installation
    return extensions


if __name__ == "__main__":
    # A build calls this file several times, for its requirements and metadata too; only the wheel needs the extensions.
    wanted = os.environ.get("CAREBELL_MYPYC") == "1" and "bdist_wheel" in sys.argv
    setup(
        ext_modules=_extensions() if wanted else [],
        options={"build_ext": {"parallel": os.cpu_count() or 1}},
    )
