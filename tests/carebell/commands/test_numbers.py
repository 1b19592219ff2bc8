"""`numbers` and `simulator twilio|ehr`: against the simulated Twilio, which writes down whatever would have cost money."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.account import AccountSettings
from simulator.twilio_api import RunningSimulator, running_simulator
from tests.carebell.conftest import Carebell
from tests.story.folder import change

TOKEN = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
ACCOUNT = "AC" + "1f" * 16
SERVICE = "MG" + "5" * 32
OWN = "+14255550100"


@pytest.fixture
def twilio() -> Iterator[RunningSimulator]:
    settings = AccountSettings(account_sid=ACCOUNT, auth_token=TOKEN, services={SERVICE: ()})
    with running_simulator(settings) as running:
        yield running


@pytest.fixture
def account(configuration: Path, twilio: RunningSimulator) -> Path:
    """The configuration of an organisation whose Twilio is the simulated one."""
    token = configuration.parent / "twilio.token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o400)
    section = {
        "account_sid": ACCOUNT, "auth_token_file": "twilio.token", "api_base_url": twilio.url,
        "public_url": "https://sms.lamna.example",
    }  # fmt: skip
    change(configuration, {"gateway": {"kind": "twilio", "twilio": section}})
    return configuration


def test_the_accounts_numbers_and_who_uses_them(carebell: Carebell, account: Path) -> None:
    ended = carebell("-c", account, "numbers", "list", "--json")
    assert [(row["number"], row["environments"], row["webhook"]) for row in ended.rows] == [
        (OWN, ["production"], None),
        ("+14255550101", ["test"], None),
    ]
    assert OWN in carebell("-c", account, "numbers", "list").out


def test_searching_buys_nothing(carebell: Carebell, account: Path, twilio: RunningSimulator) -> None:
    offers = carebell("-c", account, "numbers", "search", "--area-code", "425", "--limit", "3", "--json")
    assert len(offers.rows) == 3
    assert all(row["number"].startswith("+1425") for row in offers.rows)
    assert carebell("-c", account, "numbers", "search", "--kind", "carrier-pigeon").code == 2
    assert twilio.ledger.purchases == ()


@pytest.mark.parametrize("words", [("--dry-run",), (), ("--dry-run", "--yes")])
def test_nothing_is_bought_without_a_yes(
    carebell: Carebell, account: Path, twilio: RunningSimulator, words: tuple[str, ...]
) -> None:
    [offer] = carebell("-c", account, "numbers", "search", "--limit", "1", "--json").rows
    ended = carebell("-c", account, "numbers", "buy", offer["number"], *words)
    assert ended.code == (0 if words else 1)
    assert f"would buy {offer['number']}: costs money" in ended.out
    assert twilio.ledger.purchases == ()


def test_a_bought_number_answers_to_us_and_joins_its_service(
    carebell: Carebell, account: Path, twilio: RunningSimulator
) -> None:
    [offer] = carebell("-c", account, "numbers", "search", "--limit", "1", "--json").rows
    ended = carebell("-c", account, "numbers", "buy", offer["number"], "--service", SERVICE, "--yes")
    assert ended.code == 0, ended.err
    assert [purchase.number for purchase in twilio.ledger.purchases] == [offer["number"]]
    rows = {row["number"]: row for row in carebell("-c", account, "numbers", "list", "--json").rows}
    assert rows[offer["number"]]["webhook"] == "https://sms.lamna.example/twilio/inbound"


def test_linking_a_number_that_is_not_ours_is_refused(carebell: Carebell, account: Path) -> None:
    assert carebell("-c", account, "numbers", "link", OWN, "--yes").code == 0
    strange = carebell("-c", account, "numbers", "link", "+14255550177", "--yes")
    assert (strange.code, strange.sentence) == (1, "+14255550177 is not a number of this account")
    assert carebell("-c", account, "numbers", "link", "five", "--yes").code == 2


def test_the_token_is_never_printed(carebell: Carebell, account: Path) -> None:
    for words in (("list",), ("search",), ("buy", "+14255550177", "--yes"), ("link", OWN, "--yes")):
        ended = carebell("-c", account, "numbers", *words)
        assert TOKEN not in ended.out + ended.err


def test_without_an_account_one_sentence_says_what_is_missing(carebell: Carebell, configuration: Path) -> None:
    ended = carebell("-c", configuration, "numbers", "list")
    assert ended.code == 78
    assert "gateway.twilio" in ended.sentence


def _simulator(*words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "carebell", "simulator", *words, "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_simulated_twilio_has_the_configurations_numbers_and_ends_by_itself(
    carebell: Carebell, account: Path
) -> None:
    with _simulator("twilio", "-c", str(account), "--count", "1", "--seed", "1") as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["account_sid"] == ACCOUNT
        assert ready["numbers"] == [OWN, "+14255550101"]
        change(account, {"gateway": {"twilio": {"api_base_url": ready["url"]}}})
        rows = carebell("-c", account, "numbers", "list", "--json").rows
        assert [row["number"] for row in rows] == [OWN, "+14255550101"]
        _create(ready["url"])
        said = json.loads(process.stdout.readline())
        assert process.wait(60) == 0
    assert (said["to"], said["status"], said["code"]) == ("***0143", 201, None)


def _create(url: str) -> None:
    from notifier.twilio.credentials import Credentials
    from notifier.twilio.http import BoundedHttpClient, make_client

    http = BoundedHttpClient(url, 20.0)
    client = make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http)
    client.messages.create(to="+12025550143", from_=OWN, body="Lamna Healthcare: hello.")
    http.close()


def test_a_made_up_hospital_sends_what_the_environment_takes(carebell: Carebell, tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    assert carebell("init", folder, "--demo").code == 0
    change(
        folder / "carebell.yaml",
        {
            "environments": {"production": {"listener": {"port": 0}}, "test": {"listener": {"port": 0}}},
            "http": {"enabled": False},
        },
    )
    serve = [
        sys.executable,
        "-u",
        "-m",
        "carebell",
        "serve",
        "-c",
        str(folder / "carebell.yaml"),
        "--roles",
        "listener",
    ]
    with subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        port = next(line for line in process.stdout if "production" in line and "listening" in line)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        address = f"127.0.0.1:{port.split('127.0.0.1:')[1].split(',')[0]}"
        key, cert = sorted((folder / "keys").glob("*.pem"))[0], sorted((folder / "certs").glob("*.cer"))[0]
        words = ("-c", folder / "carebell.yaml", "simulator", "ehr", "--to", address, "-e", "production", "--seed", "3")
        signed = carebell(*words, "--count", "12", "--connections", "2", "--key", key, "--cert", cert, "--json")
        unsigned = carebell(*words, "--count", "1", "--json")
        process.terminate()
        assert process.wait(60) == 0
    assert signed.err == ""
    assert (signed.code, signed.rows[0]["answers"]) == (0, {"AA": 12})
    assert (unsigned.code, unsigned.rows[0]["answers"]) == (1, {"AR": 1})
    assert carebell(*words, "--count", "1").code == 75  # nobody listens any more
