"""Putting the rooms together: from a configuration to keyrings, gatekeepers, desks, gateways and the open database."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from carebell.exits import ConfigurationStop, UsageStop
from config.load import Loaded
from config.load import load as load_configuration
from config.problems import ConfigurationError

_PLACES: Final = (Path("carebell.yaml"), Path("/etc/carebell/carebell.yaml"))


def configuration_path(given: Path | None, environ: Mapping[str, str] = os.environ) -> Path:
    """`-c`, then $CAREBELL_CONFIG, then ./carebell.yaml, then /etc/carebell/carebell.yaml."""
    if given is not None:
        return given
    if environ.get("CAREBELL_CONFIG"):
        return Path(environ["CAREBELL_CONFIG"])
    for place in _PLACES:
        if place.exists():
            return place
    raise ConfigurationStop(
        "no configuration: there is no ./carebell.yaml; make one with `carebell init DIR`, or name one with -c"
    )


def load(given: Path | None, environ: Mapping[str, str] = os.environ) -> Loaded:
    """The configuration. ConfigurationStop with every problem, a line each."""
    path = configuration_path(given, environ)
    try:
        return load_configuration(path, environ)
    except ConfigurationError as error:
        raise ConfigurationStop(str(error)) from None


def one_environment(loaded: Loaded, name: str) -> None:
    """UsageStop unless the configuration has that environment."""
    if name not in loaded.configuration.environments:
        known = ", ".join(loaded.configuration.environments)
        raise UsageStop(f"{loaded.path}: no environment {name!r}; there are {known}")
