"""`simulator fhir`: it says where it is, prints what it is asked, and ends by itself; the guarded fetcher reads it."""

from __future__ import annotations

import json
import subprocess
import sys

from oauth.discovery import discover_smart
from oauth.fetcher import Fetcher, FetchPolicy
from tests.carebell.conftest import Carebell


def test_it_serves_prints_and_ends() -> None:
    command = [sys.executable, "-m", "carebell", "simulator", "fhir", "--json", "--count", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        smart = discover_smart(Fetcher(FetchPolicy(loopback=True, deadline_seconds=60)), started["fhir_base_url"])
        request = json.loads(process.stdout.readline())
    assert process.returncode == 0
    assert smart.server is not None
    assert (smart.server.issuer, started["client_id"]) == (started["issuer"], "carebell")
    assert request["path"] == "/api/FHIR/R4/.well-known/smart-configuration"
    assert (request["method"], request["status"]) == ("GET", 200)


def test_it_serves_this_machine_alone(carebell: Carebell) -> None:
    ended = carebell("simulator", "fhir", "--host", "203.0.113.1")
    assert ended.code == 1
    assert "listens only on this machine" in ended.err


def test_a_fault_that_it_does_not_know(carebell: Carebell) -> None:
    assert carebell("simulator", "fhir", "--fault", "nonsense").code == 2
