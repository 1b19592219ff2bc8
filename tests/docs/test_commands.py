"""Every documented command is run, page by page, in the order in which a reader meets it, on loopback alone.

What a page takes for granted (a folder made by `carebell init`, a message, the reader's own editor) is made by the page's
`BEFORE`. What cannot be run stands under a comment in the page that says why; `NOT_RUN` counts these.
"""

from __future__ import annotations

import hmac
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from docs.generate import DOCS
from tests.docs.command_server import command_server
from tests.docs.commands import blocks, script
from tests.docs.test_pages import ROOT, WRITTEN
from tests.story.json_gateway import TOKEN, running

FOLDER: Final = 'cp -a "$CLINIC" clinic && cd clinic'
"""As `carebell init clinic --demo` made it, once for all pages: its keys take seconds. README.md makes its own."""
TEST_MESSAGE: Final = (
    "sed 's/|LAMNA|APPTSMS|LAMNA|/|LAMNATST|APPTSMS|LAMNATST|/; s/|P|2/|T|2/' messages/1-S12-booked.hl7 > "
)
ONE_TEXT: Final = (
    "carebell serve && command carebell send messages/1-S12-booked.hl7 --to 127.0.0.1:2575 "
    "--key keys/production.key.pem --cert certs/production.cer"
)

GOES_BACK: Final = (
    "sed -i '0,/^    sms:/s//    writeback:\\n      events: {confirmed: hl7}\\n      hl7: {host: engine.example, port: 6661, "
    "sending_facility: LAMNA, receiving_application: EPIC, receiving_facility: LAMNA}\\n    sms:/' carebell.yaml"
)

FIVE_CASES: Final = r"""
export CAREBELL_ENVIRONMENTS__PRODUCTION__SMS__QUIET_HOURS='{from: "00:00", to: "23:59"}'
export CAREBELL_ENVIRONMENTS__PRODUCTION__SMS__CAPS='{per_day: 1, per_week: 10}'
export CAREBELL_ENVIRONMENTS__PRODUCTION__SMS__DEBOUNCE=0s
carebell serve --clock "$(date -u +%FT%TZ)" --speed 60
tell() {  # KIND APPOINTMENT CONTROL_ID LAST_SEVEN_DIGITS START
    local start="([0-9]{14}[-+][0-9]{4})"
    sed -E "s/900100/$2/g; s/DEMO000[0-9]/$3/; s/5550143/$4/; s/\^$start\^$start/^${5:-\1}^${5:-\2}/" messages/$1-*.hl7 > "$3.hl7"
    command carebell send "$3.hl7" --to 127.0.0.1:2575 --key keys/production.key.pem --cert certs/production.cer
}
soon=$(TZ=America/Los_Angeles date -d '+20 hours' +%Y%m%d%H%M00%z)
tell 1 900101 C1 5550101
echo +12025550101 | command carebell optout add
tell 1 900102 C2 5550102
tell 1 900103 C3 5550103 "$soon"
until command carebell outbox --appointment 900103 --json | grep -q '"state": "\(accepted\|delivered\)"'; do sleep 0.2; done
tell 1 900104 C4 5550103 "$soon"
until command carebell outbox --appointment 900104 --json | grep -q '"reason": "cap"'; do sleep 0.2; done
tell 1 900105 C5 UNKNOWN
tell 1 900106 C6 5550106
tell 3 900106 C7 5550106
cp messages/1-S12-booked.hl7 refused.hl7
sed -i 's/DEMO0001/REFUSED1/' refused.hl7
command carebell send refused.hl7 --to 127.0.0.1:2575 || true
"""
"""A visit for each reason, on a clock that makes a minute of a second; the number of the third had its one text."""

BEFORE: Final[dict[str, dict[str, str]]] = {
    "README.md": {"": "mkdir -p .venv/bin && touch .venv/bin/activate"},
    "docs/tutorial/first-message.md": {},
    "docs/tutorial/two-people.md": {"": "mkdir -p .venv/bin && touch .venv/bin/activate"},
    "docs/how-to/audit.md": {"": f"{FOLDER} && {ONE_TEXT} && command carebell outbox"},
    "docs/how-to/backups.md": {
        "": f"{FOLDER} && mkdir -m 0755 backup && {ONE_TEXT}",
        "install -m 0600 backup/": "stop_service; mv backup/carebell-*.db backup/carebell-2026-11-21.db",
    },
    "docs/how-to/connect-epic.md": {"": f"{FOLDER} && {TEST_MESSAGE} one.hl7"},
    "docs/how-to/container.md": {},
    "docs/how-to/http-gateway.md": {
        "": f"{FOLDER} && {TEST_MESSAGE} booking.hl7 && cp keys/test.key.pem .",
        "carebell check-config": (
            "export CAREBELL_GATEWAY__KIND=http CAREBELL_GATEWAY__HTTP__URL=$GATEWAY"
            " CAREBELL_GATEWAY__HTTP__TOKEN_FILE=gateway.token CAREBELL_GATEWAY__HTTP__PUBLIC_URL=http://127.0.0.1:8080"
            " CAREBELL_GATEWAY__HTTP__WEBHOOK_SECRET_FILE=webhook.secret"
        ),
    },
    "docs/how-to/portal-people.md": {"": f"{FOLDER} && {ONE_TEXT}"},
    "docs/how-to/monitor.md": {"": f"{FOLDER} && {ONE_TEXT}"},
    "docs/how-to/postgresql.md": {"": FOLDER},
    "docs/how-to/read-the-logs.md": {"": f"{FOLDER} && {ONE_TEXT}"},
    "docs/how-to/reminder-intervals.md": {"": f"{FOLDER} && {ONE_TEXT} && cp messages/1-S12-booked.hl7 booked.hl7"},
    "docs/how-to/rotate-signing-key.md": {"": f"{FOLDER} && cp certs/production.cer certs/production-2028.cer"},
    "docs/how-to/sign-messages.md": {
        "": f"{FOLDER} && {TEST_MESSAGE} message.hl7 && cp {DOCS}/how-to/signing/* .",
        "carebell verify signed.hl7": "cp carebell.cer certs/test.cer && carebell serve",
    },
    "docs/how-to/write-back.md": {"": f"{FOLDER} && {GOES_BACK}"},
    "docs/how-to/tls.md": {
        "": f"{FOLDER} && cp messages/1-S12-booked.hl7 booking.hl7",
        "carebell check-config": (
            "export CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__TLS='{certificate: tls.pem, key: secrets/tls.key}'"
        ),
        "install -m 0644 client.cer": (
            "export CAREBELL_ENVIRONMENTS__PRODUCTION__AUTHENTICATION=mutual-tls"
            " CAREBELL_ENVIRONMENTS__PRODUCTION__CERTIFICATES='[certs/client.cer]'"
            "; restart() { install -m 0644 client.cer certs/client.cer && carebell serve; }; restart"
        ),
    },
    "docs/how-to/twilio.md": {
        "": f"{FOLDER} && {TEST_MESSAGE} booking.hl7 && cp keys/test.key.pem .",
        "carebell check-config": (
            "export CAREBELL_GATEWAY__KIND=twilio CAREBELL_GATEWAY__TWILIO__ACCOUNT_SID=AC51b051b051b051b051b051b051b051b0"
            " CAREBELL_GATEWAY__TWILIO__AUTH_TOKEN_FILE=twilio.token"
            " CAREBELL_GATEWAY__TWILIO__API_BASE_URL=http://127.0.0.1:$TWILIO_PORT"
            "; carebell simulator twilio -c carebell.yaml --port $TWILIO_PORT"
        ),
    },
    "docs/how-to/why-no-text.md": {"": f"{FOLDER}\n{FIVE_CASES}"},
    "docs/explanation/forgetting.md": {"": f"{FOLDER} && command carebell db upgrade"},
    "docs/reference/http-gateway.md": {"": "timestamp=1767225600 body='{}' secret=sesame"},
}
"""Page -> the beginning of a line -> what comes before it; the empty beginning is the page's own."""

REFUSED: Final[dict[str, dict[str, int]]] = {
    "docs/tutorial/first-message.md": {"carebell send booked.hl7 --to 127.0.0.1:2575": 1},
    "docs/how-to/backups.md": {"carebell keys drop-unreadable": 1},
    "docs/how-to/monitor.md": {"carebell status": 1},
    "docs/how-to/tls.md": {
        "carebell send booking.hl7 --to 127.0.0.1:2575 --tls-ca ca.pem --tls-name carebell.lamna.example": 75,
        "carebell send booking.hl7 --to 127.0.0.1:2575 --tls-ca ca.pem --tls-name carebell.lamna.example "
        "--tls-cert other.pem --tls-key other.key": 75,
    },
}
"""Commands that are refused, as the page says, and their exit codes."""

TYPED: Final = {
    "docs/how-to/http-gateway.md": f"{TOKEN}\n",
    "docs/how-to/twilio.md": "0123456789abcdef0123456789abcdef\n",
    "docs/how-to/why-no-text.md": "+12025550101\n",
    "docs/explanation/forgetting.md": "+12025550143\n",
}

SAYS: Final = {
    "README.md": [r"^certs/production\.cer: accept$", r"1-S12-booked\.hl7: \S+: AA "],
    "docs/tutorial/first-message.md": [
        r"^certs/production\.cer: accept$", r"signed\.hl7 +AA ", r"goes +booking\n +booked: ", r"^signed\.hl7: FIRST0001: AA ",
        r"^booked\.hl7: FIRST0001: AR SIG01 no ZSG segment", r"\*\*\*0143",
    ],
    "docs/tutorial/two-people.md": [r"^clinic\.cer: accept$"],
    "docs/how-to/audit.md": [
        r"^unbroken: \d+ entries \(1 to \d+\)$", r"^compared with [1-9]", r"view\.outbox", r"^whole; ", r"^ *environments:$",
    ],
    "docs/how-to/backups.md": [r"^key 2 is in use and wraps \d+ day keys", r"^deleted: 2 day keys; 1 visits"],
    "docs/how-to/connect-epic.md": [r"messages, 0 of them cannot be used", r"goes +booking"],
    "docs/how-to/container.md": [r"^wrote clinic/carebell\.key"],
    "docs/how-to/http-gateway.md": [r"booking\.hl7: \S+: AA ", r'"state": ?"due"'],
    "docs/how-to/portal-people.md": ["/set-up/", "dana"],
    "docs/how-to/monitor.md": [
        r"^CAREBELL OK - 2 listeners, .* \| 'waiting'=", r'"state": "OK"', r"^\[\+\]ping ok\nlivez check passed$",
        r"^readyz check passed$", r'"ready"', r"^WARNING +held\b.*: texts are held \(all\): a drill",
    ],
    "docs/how-to/postgresql.md": [r"the database is at version"],
    "docs/how-to/read-the-logs.md": [r'"ready"', r"texts are held", r"texts are sent again"],
    "docs/how-to/reminder-intervals.md": [
        r"^trial\.yaml: good", r"goes +booking", r"no text that waits would change", r"the page is rehearsal\.html",
        r"an invented feed of 5 visits a day", r"quiet_hours\.from: \"21:00\" -> \"22:00\"", r"nothing was written",
    ],
    "docs/how-to/rotate-signing-key.md": [r"^certs/production-2028\.cer: accept$"],
    "docs/how-to/sign-messages.md": [r"^carebell\.cer: accept$", r"signed\.hl7 +AA ", r"signed\.hl7: \S+: AA "],
    "docs/how-to/write-back.md": [r"^MSH\|[\s\S]*\|SIU\^S14\^SIU_S12\|", r"CONFIRMED\^Patient confirmed by SMS"],
    "docs/how-to/tls.md": [
        r"booking\.hl7: \S+: AA [\s\S]*booking\.hl7: \S+: AA ", r"^client\.cer: accept$",
        r"was not checked, but taken to be client\.cer",
        r"reason=no_client_certificate", r"reason=client_certificate_refused .*thumbprint=",
    ],
    "docs/how-to/twilio.md": [r"booking\.hl7: \S+: AA ", r'"state": ?"due"'],
    "docs/how-to/why-no-text.md": [
        r"^900101 in production: .* has opted out since ", r"from \S+ \S+ to \S+ 23:59, quiet hours$",
        r"^900104 in production: .*sms\.caps\.per_day\); used up by booking of 900103 ",
        r"^900105 in production: The booking text did not go: the number is not usable", r"^\*\*\*0101 has opted out since ",
        r"^Message REFUSED1 was refused, AR SIG01", r"^900106 in production: No text went: the visit was cancelled before",
    ],
    "docs/explanation/forgetting.md": [r"^no visit keeps it$"],
    "docs/reference/http-gateway.md": [hmac.digest(b"sesame", b"1767225600.{}", "sha256").hex()],
}  # fmt: skip
"""What the output must hold: a page's promise, not only exit code 0."""

NOT_RUN: Final = {
    "README.md": 2,
    "docs/explanation/scaling.md": 1,
    "docs/how-to/backups.md": 1,
    "docs/how-to/compiled.md": 2, "docs/how-to/container.md": 4,
    "docs/how-to/install.md": 5, "docs/how-to/patients-pages.md": 1,
    "docs/how-to/postgresql.md": 1,
    "docs/how-to/reverse-proxy.md": 1,
    "docs/how-to/write-back.md": 3, "docs/how-to/write-back-fhir.md": 2,
    "docs/tutorial/two-people.md": 2,
}  # fmt: skip

STARTED: Final = ("README.md",)
"""Its commands are started as a reader starts them; those of other pages are forked, `tests.docs.command_server`."""

RUN: Final = sorted(
    page for page in WRITTEN if any(block.not_run is None for block in blocks((ROOT / page).read_text("utf-8")))
)


def test_every_page_with_commands_is_run() -> None:
    assert set(RUN) == set(BEFORE) == set(SAYS)


def test_what_is_not_run_is_counted_and_has_a_reason() -> None:
    marked = {
        page: reasons
        for page in WRITTEN
        if (
            reasons := [
                block.not_run for block in blocks((ROOT / page).read_text("utf-8")) if block.not_run is not None
            ]
        )
    }
    assert {page: len(reasons) for page, reasons in marked.items()} == NOT_RUN, marked
    assert all(len(reason.split()) >= 3 for reasons in marked.values() for reason in reasons)


def test_no_command_hides_in_a_block_without_a_language() -> None:
    """Then nothing would know it for a command."""
    unnamed = [
        (page, line)
        for page in WRITTEN
        for fence, line in re.findall(r"^[ ]*```(\w*)\n[ ]*(\S[^\n]*)", (ROOT / page).read_text("utf-8"), re.MULTILINE)
        if not fence
        and re.match(r"(?:\$ )?(?:carebell|openssl|make|sqlite3|curl|install|cp|cd|pip|apt|systemctl)\b", line)
    ]
    assert unnamed == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_an_ordinary_account() -> list[str]:
    """root opens files of any mode; without these capabilities it meets what a service's own account meets."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return []
    words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    possible = subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0
    return words if possible else []


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `FOLDER` copies."""
    folder = tmp_path_factory.mktemp("init") / "clinic"
    program = Path(sys.executable).with_name("carebell")
    subprocess.run([program, "init", folder, "--demo"], check=True, capture_output=True, umask=0o022)
    return folder


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with `carebell`, which is loaded once for all pages."""
    with command_server(tmp_path_factory.mktemp("server"), before=_as_an_ordinary_account()) as folder:
        yield folder


def _run(page: str, folder: Path, gateway: str, clinic: Path, programs: Path) -> str:
    ports = {2575: _free_port(), 2576: _free_port(), 8080: _free_port()}
    text = script((ROOT / page).read_text("utf-8"), before=BEFORE[page], refused=REFUSED.get(page, {}), ports=ports)
    (folder / "logs").mkdir()
    (folder / "home").mkdir()
    environment: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CAREBELL_")},
        "PATH": os.pathsep.join(
            [*([] if page in STARTED else [str(programs)]), str(Path(sys.executable).parent), os.environ["PATH"]]
        ),
        "HOME": str(folder / "home"), "LOGS": str(folder / "logs"), "COLUMNS": "160", "EDITOR": "true",
        "CLINIC": str(clinic),
        "CAREBELL_ENVIRONMENTS__PRODUCTION__LISTENER__PORT": str(ports[2575]),
        "CAREBELL_ENVIRONMENTS__TEST__LISTENER__PORT": str(ports[2576]),
        "CAREBELL_HTTP__PORT": str(ports[8080]), "GATEWAY": gateway, "TWILIO_PORT": str(_free_port()),
    }  # fmt: skip
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        [*_as_an_ordinary_account(), "bash", "-c", text],
        cwd=work,
        env=environment,
        input=TYPED.get(page, ""),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    logs = "".join(path.read_text("utf-8") for path in sorted((folder / "logs").iterdir()))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    assert "2025550143" not in done.stdout + done.stderr + logs
    return done.stdout


def _programs(page: str) -> list[str]:
    text = "".join(block.commands for block in blocks((ROOT / page).read_text("utf-8")) if block.not_run is None)
    named = {name for name in ("openssl", "sqlite3", "curl", "node", "tclsh", "java") if re.search(rf"\b{name} ", text)}
    return sorted(name for name in {"bash", *named} if shutil.which(name) is None)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", RUN)
def test_a_page_s_commands_do_what_it_says(page: str, tmp_path: Path, clinic: Path, programs: Path) -> None:
    absent = _programs(page)
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed here")
    with running() as gateway:
        output = _run(page, tmp_path, gateway.url, clinic, programs)
    missing = [pattern for pattern in SAYS[page] if not re.search(pattern, output, re.MULTILINE)]
    assert missing == [], output
    work = tmp_path / "work"
    for key in (*work.rglob("*.key"), *work.rglob("*.key.pem"), *work.rglob("*.token"), *work.rglob("*.secret")):
        assert not stat.S_IMODE(key.stat().st_mode) & 0o077, f"{key} is open to others"
    for database in (*work.rglob("*.db"), *work.rglob("*.db-wal")):
        assert not stat.S_IMODE(database.stat().st_mode) & 0o077, f"{database} is open to others"
    for certificate in work.rglob("*.cer"):
        _is_for_signing_alone(certificate)


def _is_for_signing_alone(certificate: Path) -> None:
    """No authority's, and for signatures: whatever the documentation's commands, `init` and `--demo` made."""
    from cryptography import x509

    loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    constraints = loaded.extensions.get_extension_for_class(x509.BasicConstraints)
    usage = loaded.extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca) == (True, False), certificate
    assert usage.value.digital_signature, certificate
    assert not usage.value.key_cert_sign, certificate


def test_a_failing_command_fails_the_page(tmp_path: Path) -> None:
    page = "```bash\necho first\nfalse\necho never\n```\n"
    done = subprocess.run(
        ["bash", "-c", script(page, before={}, refused={}, ports={})],
        env={**os.environ, "LOGS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "first\n")


def test_a_forked_command_is_as_one_that_is_started(programs: Path, tmp_path: Path, clinic: Path) -> None:
    shutil.copytree(clinic, tmp_path / "clinic")
    environment = {**os.environ, "CAREBELL_HTTP__PORT": "0", "COLUMNS": "70"}
    for words in (["check-config"], ["cert", "show", "missing.cer"], ["nothing"], ["optout", "add", "--help"]):
        forked, started = (
            subprocess.run(
                [folder / "carebell", *words],
                cwd=tmp_path / "clinic",
                env=environment,
                capture_output=True,
                check=False,
                timeout=60,
            )
            for folder in (programs, Path(sys.executable).parent)
        )
        assert (forked.returncode, forked.stdout, forked.stderr) == (
            started.returncode,
            started.stdout,
            started.stderr,
        )


def test_the_reader_of_blocks() -> None:
    page = (
        "```yaml\nkey: 1\n```\n\n1. Text\n\n   ```bash\n   one \\\n       two\n   ```\n\n```text\nwords\n$ three\nanswer\n```\n\n"
        "<!-- not run by the tests: needs the vendor's console -->\n```bash\nfour\n```\n"
    )
    assert [(block.line, block.commands, block.not_run) for block in blocks(page)] == [
        (7, "one \\\n    two\n", None),
        (12, "three\n", None),
        (18, "four\n", "needs the vendor's console"),
    ]
    with pytest.raises(ValueError, match="no line of the page begins"):
        script(page, before={"five": "true"}, refused={}, ports={})
