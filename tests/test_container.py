"""The Containerfile and the compose file, read as an engine reads them. No engine runs here, so no image is built."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

from config.load import load
from store.keys import create_key_file
from tests.story.clinic import opened
from tests.story.folder import make, shipped, write

CHECKOUT: Final = Path(__file__).parent.parent
FOLDER: Final = CHECKOUT / "deploy" / "container"
INSTRUCTIONS: Final = {
    "FROM", "COPY", "RUN", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD",
}  # fmt: skip

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="not in a checkout: the tests run from the built wheel")


def _instructions() -> list[tuple[str, str]]:
    """(instruction, its words), continued lines as one."""
    text = re.sub(r"\\\n\s*", "", (FOLDER / "Containerfile").read_text("utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for line in lines for word, _, rest in [line.partition(" ")]]


def _compose() -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load((FOLDER / "compose.yaml").read_text("utf-8"))
    return content


def _health_check() -> list[str]:
    [written] = [rest for word, rest in _instructions() if word == "HEALTHCHECK"]
    command: list[str] = json.loads(written.partition(" CMD ")[2])
    return command


# The image


def test_every_line_is_an_instruction_and_every_run_is_shell() -> None:
    instructions = _instructions()
    assert {word for word, _ in instructions} <= INSTRUCTIONS
    for word, rest in instructions:
        if word == "RUN":
            done = subprocess.run(
                [shutil.which("sh") or "sh", "-n", "-c", rest], capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stderr
        elif word in ("ENTRYPOINT", "CMD", "VOLUME"):
            assert json.loads(rest)
        elif word == "ENV":
            assert all("=" in assignment for assignment in shlex.split(rest))


def test_the_image_runs_without_rights_and_fetches_no_package() -> None:
    instructions = _instructions()
    users = [rest for word, rest in instructions if word == "USER"]
    assert users == ["10001:10001"]
    after = instructions[instructions.index(("USER", users[0])) :]
    assert not [word for word, _ in after if word in ("RUN", "COPY")]
    installs = [rest for word, rest in instructions if word == "RUN" and "pip install" in rest]
    assert len(installs) == 1
    assert "--no-index" in installs[0]
    made = " ".join(rest for word, rest in instructions if word == "RUN")
    assert "useradd --uid 10001" in made


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (False, 1)])
async def test_the_health_check_asks_a_real_service(tmp_path: Path, ready: bool, code: int) -> None:
    async with opened(make(tmp_path, {"http": {"enabled": True, "port": 0}})) as clinic:
        assert clinic.service.http is not None
        port = clinic.service.http[1] if ready else 1
        program, *words = _health_check()
        assert program == "python"
        words = [word.replace("127.0.0.1:8080", f"127.0.0.1:{port}") for word in words]
        process = await asyncio.create_subprocess_exec(sys.executable, *words, stderr=asyncio.subprocess.DEVNULL)
        assert await process.wait() == code


# The two services together


def test_the_compose_file_closes_what_it_starts() -> None:
    service = _compose()["services"]["carebell"]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert service["depends_on"] == {"database": {"condition": "service_healthy"}}
    [http] = [port for port in service["ports"] if port.endswith(":8080")]
    assert http.startswith("127.0.0.1:")
    assert int(service["stop_grace_period"].removesuffix("s")) > 10  # the service's own end takes 10 s at most


def test_every_name_leads_to_something() -> None:
    compose = _compose()
    services = compose["services"]
    for service in services.values():
        for secret in service.get("secrets", ()):
            assert (secret if isinstance(secret, str) else secret["source"]) in compose["secrets"]
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source.startswith("./clinic") or source in compose["volumes"]
    build = services["carebell"]["build"]
    assert (FOLDER / build["context"] / build["dockerfile"]).resolve() == FOLDER / "Containerfile"


def test_no_password_stands_in_the_files() -> None:
    for service in _compose()["services"].values():
        assert not [name for name in service["environment"] if re.search(r"(PASSWORD|TOKEN|SECRET)$", name)]
    assert not [value for _, value in _variables() if re.search(r"://[^/@]*:[^/@]*@", value)]


def _variables() -> Iterator[tuple[str, str]]:
    for word, rest in _instructions():
        if word == "ENV":
            for assignment in shlex.split(rest):
                name, _, value = assignment.partition("=")
                yield name, value
    yield from _compose()["services"]["carebell"]["environment"].items()


def test_the_variables_say_what_a_container_needs(tmp_path: Path) -> None:
    """Over the configuration of `carebell init`, as the service reads it."""
    environ: Mapping[str, str] = dict(_variables())
    path = tmp_path / "carebell.yaml"
    write(path, shipped())
    create_key_file(tmp_path / "carebell.key")
    configuration = load(path, environ).configuration
    assert configuration.storage.url == "postgresql+psycopg://carebell@database/carebell"
    assert configuration.storage.key_file == Path("/run/secrets/carebell.key")
    assert configuration.storage.marker_file == Path("/var/lib/carebell/marker")
    assert configuration.log.file is None
    assert configuration.http.host == configuration.environments["production"].listener.host == "0.0.0.0"
