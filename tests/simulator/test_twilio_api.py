"""The simulator as the real `twilio` client sees it, and its answers against Twilio's OpenAPI description."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from simulator.account import AccountSettings
from simulator.outcomes import SimulatedOutcome
from simulator.twilio_api import RunningSimulator, running_simulator
from tests.simulator.client import twilio_client
from tests.simulator.conftest import ACCOUNT, NOW, OTHER_SENDER, PATIENT, SENDER, SERVICE, VOICE, HandClock
from tests.simulator.openapi import DESCRIPTION, faults_in

BASE = f"/2010-04-01/Accounts/{ACCOUNT}"


def failed(call: Callable[..., object], **params: Any) -> tuple[int, int]:
    """HTTP status and Twilio code of a call that is refused."""
    with pytest.raises(TwilioRestException) as caught:
        call(**params)
    return caught.value.status, caught.value.code


def refused(client: Any, **params: Any) -> tuple[int, int]:
    """The same of a create request."""
    return failed(client.messages.create, **params)


def raw(simulator: RunningSimulator, method: str, path: str, **kwargs: Any) -> requests.Response:
    return requests.request(method, simulator.url + path, auth=(ACCOUNT, "t0ken"), timeout=20, **kwargs)


def test_a_text_lives_from_queued_to_delivered(client: Any, clock: HandClock) -> None:
    made = client.messages.create(to=PATIENT, from_=SENDER, body="See you at 9:00")
    assert (made.status, made.to, made.from_, made.body) == ("queued", PATIENT, SENDER, "See you at 9:00")
    assert (made.num_segments, made.error_code, made.date_sent) == ("1", None, None)
    assert made.date_created == NOW
    clock.move(seconds=0.2)
    sent = client.messages(made.sid).fetch()
    assert (sent.status, sent.date_sent) == ("sent", NOW)  # Twilio writes whole seconds
    clock.move(seconds=1)
    assert client.messages(made.sid).fetch().status == "delivered"


def test_a_messaging_service_picks_its_number_after_accepting(client: Any, clock: HandClock) -> None:
    made = client.messages.create(to=PATIENT, messaging_service_sid=SERVICE, body="Hello")
    assert (made.status, made.from_, made.messaging_service_sid, made.num_segments) == ("accepted", None, SERVICE, "0")
    clock.move(seconds=5)
    final = client.messages(made.sid).fetch()
    assert (final.status, final.from_, final.num_segments) == ("delivered", SENDER, "1")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"to": "", "from_": SENDER, "body": "x"}, 21604),
        ({"to": PATIENT, "body": "x"}, 21603),
        ({"to": PATIENT, "from_": SENDER}, 21602),
        ({"to": PATIENT, "from_": SENDER, "body": ""}, 21602),
        ({"to": PATIENT, "from_": SENDER, "body": "x" * 1601}, 21617),
        ({"to": "2025550143", "from_": SENDER, "body": "x"}, 21211),
        ({"to": "+11235550143", "from_": SENDER, "body": "x"}, 21211),
        ({"to": "+1202555014", "from_": SENDER, "body": "x"}, 21211),
        ({"to": SENDER, "from_": SENDER, "body": "x"}, 21266),
        ({"to": PATIENT, "from_": "Clinic", "body": "x"}, 21212),
        ({"to": PATIENT, "from_": "+13035550100", "body": "x"}, 21659),
        ({"to": PATIENT, "from_": VOICE, "body": "x"}, 21606),
        ({"to": PATIENT, "messaging_service_sid": "MG" + "6" * 32, "body": "x"}, 21701),
        ({"to": PATIENT, "from_": SENDER, "body": "x", "status_callback": "nowhere"}, 21609),
        ({"to": PATIENT, "from_": SENDER, "body": "x", "validity_period": 0}, 21624),
        ({"to": PATIENT, "from_": SENDER, "body": "x", "validity_period": 36001}, 21624),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_what_twilio_refuses_is_refused_with_its_code(
    client: Any, simulator: RunningSimulator, params: dict[str, Any], code: int
) -> None:
    assert refused(client, **params) == (400, code)
    assert [(r.code, r.status, r.sid) for r in simulator.ledger.received] == [(code, 400, None)]
    assert simulator.ledger.accepted == ()


def test_1600_characters_are_taken_and_counted_in_segments(client: Any) -> None:
    assert client.messages.create(to=PATIENT, from_=SENDER, body="x" * 1600).num_segments == "11"
    assert client.messages.create(to=PATIENT, from_=SENDER, body="ñ" * 160).num_segments == "1"
    assert client.messages.create(to=PATIENT, from_=SENDER, body="í" * 71).num_segments == "2"


@pytest.mark.parametrize(("user", "token"), [(ACCOUNT, "wrong"), ("AC" + "2" * 32, "t0ken")], ids=["token", "account"])
def test_wrong_credentials_are_20003(simulator: RunningSimulator, user: str, token: str) -> None:
    with twilio_client(simulator.url, user, token) as stranger:
        assert refused(stranger, to=PATIENT, from_=SENDER, body="x") == (401, 20003)
        with pytest.raises(TwilioRestException) as caught:
            stranger.messages("SM" + "0" * 32).fetch()
        assert (caught.value.status, caught.value.code) == (401, 20003)
    assert [r.code for r in simulator.ledger.received] == [20003]


def test_another_accounts_path_is_refused(simulator: RunningSimulator) -> None:
    path = BASE.replace(ACCOUNT, "AC" + "9" * 32) + "/Messages.json"
    assert raw(simulator, "GET", path).json()["code"] == 20003


def test_scripted_numbers_meet_their_outcome(client: Any, simulator: RunningSimulator, clock: HandClock) -> None:
    simulator.script(PATIENT, SimulatedOutcome(final="undelivered", error_code=30003))
    simulator.script("+12025550144", SimulatedOutcome(refuse=21614))
    simulator.script("+12025550145", SimulatedOutcome(final="failed", error_code=30007))
    simulator.script("+12025550146", SimulatedOutcome(final="sent"))
    sids = [
        client.messages.create(to=to, from_=SENDER, body="x").sid for to in (PATIENT, "+12025550145", "+12025550146")
    ]
    assert refused(client, to="+12025550144", from_=SENDER, body="x") == (400, 21614)
    clock.move(hours=9)
    seen = [client.messages(sid).fetch() for sid in sids]
    assert [(m.status, m.error_code) for m in seen] == [("undelivered", 30003), ("failed", 30007), ("sent", None)]


def test_a_sender_drains_at_its_rate_and_late_texts_expire(client: Any, clock: HandClock) -> None:
    """A long code carries one segment a second; a text still waiting when it has become useless fails with 30036."""
    sids = [
        client.messages.create(to=PATIENT, from_=SENDER, body="x" * length, validity_period=valid).sid
        for length, valid in ((300, 60), (1, 60), (1, 2), (1, 60))
    ]
    other = client.messages.create(to=PATIENT, from_=OTHER_SENDER, body="x").sid

    def statuses() -> list[str]:
        return [client.messages(sid).fetch().status for sid in (*sids, other)]

    clock.move(seconds=0.2)
    assert statuses() == ["sent", "queued", "queued", "queued", "sent"]
    clock.move(seconds=2)
    assert statuses() == ["delivered", "sent", "failed", "queued", "delivered"]
    assert client.messages(sids[2]).fetch().error_code == 30036
    clock.move(seconds=1)
    assert statuses()[3] == "sent"


def test_a_sender_with_four_hours_of_queue_takes_no_more(clock: HandClock) -> None:
    slow = AccountSettings(account_sid=ACCOUNT, auth_token="t0ken", segments_per_second={SENDER: 1 / 7201})
    with running_simulator(slow, clock=clock) as simulator, twilio_client(simulator.url, ACCOUNT, "t0ken") as client:
        for _ in range(2):
            client.messages.create(to=PATIENT, from_=SENDER, body="x")
        assert refused(client, to=PATIENT, from_=SENDER, body="x") == (400, 21611)


def test_too_many_creates_in_a_second_are_20429(clock: HandClock) -> None:
    limited = AccountSettings(account_sid=ACCOUNT, auth_token="t0ken", create_limit=2)
    with running_simulator(limited, clock=clock) as simulator, twilio_client(simulator.url, ACCOUNT, "t0ken") as client:
        for _ in range(2):
            client.messages.create(to=PATIENT, from_=SENDER, body="x")
        assert refused(client, to=PATIENT, from_=SENDER, body="x") == (429, 20429)
        client.messages.create(to=PATIENT, from_=OTHER_SENDER, body="x")
        clock.move(seconds=1)
        client.messages.create(to=PATIENT, from_=SENDER, body="x")
        assert [r.code for r in simulator.ledger.received] == [None, None, 20429, None, None]


def test_lists_filter_by_to_from_and_date_sent(client: Any, clock: HandClock) -> None:
    def create(to: str, sender: str) -> str:
        return str(client.messages.create(to=to, from_=sender, body="x").sid)

    first, second = create(PATIENT, SENDER), create("+12025550144", SENDER)
    clock.move(days=1)
    third = create(PATIENT, OTHER_SENDER)

    def listed(**filters: Any) -> list[str]:
        return [m.sid for m in client.messages.list(**filters)]

    assert listed() == [third, second, first]
    assert listed(to=PATIENT) == [third, first]
    assert listed(from_=SENDER) == [second, first]
    assert listed(to=PATIENT, from_=SENDER) == [first]
    assert listed(date_sent_after=NOW - timedelta(seconds=1)) == [second, first]  # the third has not been sent yet
    clock.move(seconds=5)
    assert listed(date_sent_after=NOW + timedelta(hours=1)) == [third]
    assert listed(date_sent_before=NOW + timedelta(hours=1)) == [second, first]
    assert listed(date_sent=datetime(2026, 3, 2, tzinfo=UTC)) == [second, first]
    assert listed(date_sent="2026-03-03") == [third]


def test_paging_gives_every_message_once_while_new_ones_come_in(client: Any) -> None:
    made = [client.messages.create(to=PATIENT, from_=SENDER, body=str(i)).sid for i in range(7)]
    seen = []
    for i, message in enumerate(client.messages.stream(to=PATIENT, page_size=3)):
        seen.append(message.sid)
        if i == 1:
            client.messages.create(to=PATIENT, from_=SENDER, body="new")
    assert seen == made[::-1]
    assert len(client.messages.list(limit=4, page_size=3)) == 4


def test_redaction_and_deletion_wait_for_the_final_status(client: Any, clock: HandClock) -> None:
    made = client.messages.create(to=PATIENT, from_=SENDER, body="private")
    assert failed(client.messages(made.sid).update, body="") == (409, 20009)
    assert failed(client.messages(made.sid).delete) == (409, 20009)
    clock.move(seconds=5)
    assert client.messages(made.sid).update(body="").body == ""
    assert client.messages(made.sid).fetch().body == ""
    assert client.messages(made.sid).delete() is True
    assert failed(client.messages(made.sid).fetch) == (404, 20404)
    assert failed(client.messages(made.sid).delete) == (404, 20404)
    assert client.messages.list() == []


def test_the_ledger_remembers_what_the_account_forgot(
    client: Any, simulator: RunningSimulator, clock: HandClock
) -> None:
    made = client.messages.create(
        to=PATIENT, from_=SENDER, body="private", status_callback="http://127.0.0.1:9/s?m=row-1&a=1"
    )
    clock.move(seconds=5)
    client.messages(made.sid).delete()
    (taken,) = simulator.ledger.accepted
    assert (taken.sid, taken.to, taken.sender, taken.body, taken.time) == (made.sid, PATIENT, SENDER, "private", NOW)
    assert (taken.marker, taken.request, taken.segments) == ("row-1", 1, 1)
    shown = requests.get(f"{simulator.url}/simulator/ledger", timeout=20).json()
    assert [(a["sid"], a["marker"], a["body"]) for a in shown["accepted"]] == [(made.sid, "row-1", "private")]
    assert [(r["number"], r["status"], r["fault"]) for r in shown["received"]] == [(1, 201, None)]
    assert shown["accepted"][0]["params"]["StatusCallback"].endswith("?m=row-1&a=1")


def test_numbers_are_searched_bought_linked_and_released(client: Any, simulator: RunningSimulator) -> None:
    found = client.available_phone_numbers("US").local.list(area_code=303, sms_enabled=True, limit=5)
    assert [n.phone_number for n in found] == [f"+1303555010{i}" for i in range(5)]
    assert found[0].capabilities == {"fax": False, "mms": True, "sms": True, "voice": True}
    canadian = client.available_phone_numbers("CA").local.list(area_code=604, contains="019*")
    assert [n.phone_number for n in canadian] == [f"+1604555019{i}" for i in range(10)]
    assert client.available_phone_numbers("US").local.list(area_code=911) == []
    bought = client.incoming_phone_numbers.create(phone_number=found[1].phone_number, friendly_name="Clinic")
    assert (bought.phone_number, bought.friendly_name) == ("+13035550101", "Clinic")
    assert client.incoming_phone_numbers.create(area_code="303").phone_number == "+13035550100"
    linked = client.incoming_phone_numbers(bought.sid).update(sms_url="https://sms.lamna.example/twilio/inbound")
    assert linked.sms_url == "https://sms.lamna.example/twilio/inbound"
    assert [n.sid for n in client.incoming_phone_numbers.list(phone_number="+13035550101")] == [bought.sid]
    assert client.messages.create(to=PATIENT, from_="+13035550101", body="x").status == "queued"
    assert client.incoming_phone_numbers(bought.sid).delete() is True
    assert refused(client, to=PATIENT, from_="+13035550101", body="x") == (400, 21659)
    assert [(p.number, p.released) for p in simulator.ledger.purchases] == [
        ("+13035550101", False),
        ("+13035550100", False),
        ("+13035550101", True),
    ]


def test_a_number_joins_a_messaging_service_once(client: Any) -> None:
    (other,) = client.incoming_phone_numbers.list(phone_number=OTHER_SENDER)
    joined = client.messaging.v1.services(SERVICE).phone_numbers.create(phone_number_sid=other.sid)
    assert (joined.sid, joined.phone_number, joined.service_sid) == (other.sid, OTHER_SENDER, SERVICE)
    assert failed(client.messaging.v1.services(SERVICE).phone_numbers.create, phone_number_sid=other.sid) == (
        409,
        21710,
    )
    for service, number in (("MG" + "6" * 32, other.sid), (SERVICE, "PN" + "0" * 32)):
        missing = client.messaging.v1.services(service).phone_numbers
        assert failed(missing.create, phone_number_sid=number) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "code"),
    [({}, 21421), ({"PhoneNumber": "5"}, 21421), ({"PhoneNumber": SENDER}, 21422), ({"AreaCode": "12"}, 21451)],
    ids=["nothing", "no number", "taken", "no area"],
)
def test_numbers_that_cannot_be_bought(simulator: RunningSimulator, form: dict[str, str], code: int) -> None:
    refusal = raw(simulator, "POST", f"{BASE}/IncomingPhoneNumbers.json", data=form)
    assert (refusal.status_code, refusal.json()["code"]) == (400, code)
    assert simulator.ledger.purchases == ()


def test_answers_hold_to_twilios_openapi_description(simulator: RunningSimulator, clock: HandClock) -> None:
    simulator.script("+12025550144", SimulatedOutcome(final="undelivered", error_code=30005))
    messages, numbers = f"{BASE}/Messages.json", f"{BASE}/IncomingPhoneNumbers.json"
    created = [
        raw(simulator, "POST", messages, data={"To": to, "Body": "x", **sender}).json()
        for to in (PATIENT, "+12025550144")
        for sender in ({"From": SENDER}, {"MessagingServiceSid": SERVICE})
    ]
    number = raw(simulator, "POST", numbers, data={"AreaCode": "303", "SmsUrl": "https://a.example/"}).json()
    clock.move(seconds=30)
    simulator.receive(PATIENT, SENDER, "hello")
    seen: list[tuple[str, object]] = [("create message", m) for m in created]
    seen += [("fetch message", raw(simulator, "GET", m["uri"]).json()) for m in created]
    seen += [("redact message", raw(simulator, "POST", created[0]["uri"], data={"Body": ""}).json())]
    pages = [raw(simulator, "GET", messages, params={"PageSize": 2, "Page": n}).json() for n in range(3)]
    assert [len(page["messages"]) for page in pages] == [2, 2, 1]
    search = raw(simulator, "GET", f"{BASE}/AvailablePhoneNumbers/US/Local.json", params={"AreaCode": "303"}).json()
    seen += [("buy number", number), ("update number", raw(simulator, "POST", number["uri"], data={}).json())]
    seen += [("list numbers", raw(simulator, "GET", numbers).json()), ("search numbers", search)]
    seen += [("list messages", page) for page in pages]
    assert [fault for operation, value in seen for fault in faults_in(operation, value)] == []


def test_the_description_is_one_that_can_be_broken() -> None:
    """The check itself: each kind of mistake is found."""
    assert "fetch message.body: missing" in faults_in("fetch message", {})
    for name, wrong in (("status", "gone"), ("error_code", "30003"), ("sid", "SM1"), ("direction", None), ("extra", 1)):
        assert any(name in fault for fault in faults_in("fetch message", {name: wrong}))
    assert "ValidityPeriod" in DESCRIPTION["parameters"]["create message"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/2010-04-01/Accounts.json", 404),
        ("GET", f"{BASE}/Calls.json", 404),
        ("DELETE", f"{BASE}/Messages.json", 405),
        ("GET", f"{BASE}/Messages.json?PageSize=x", 400),
        ("GET", f"{BASE}/Messages.json?DateSent=yesterday", 400),
        ("GET", f"{BASE}/AvailablePhoneNumbers/GB/Local.json", 404),
        ("GET", "/simulator/nothing", 404),
        ("POST", "/simulator/nothing", 404),
        ("POST", "/simulator/script", 200),
    ],
)
def test_odd_requests_get_an_answer(simulator: RunningSimulator, method: str, path: str, status: int) -> None:
    assert raw(simulator, method, path).status_code == status


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("script", "["),
        ("script", "[]"),
        ("script", '{"outcome": {"final": "lost"}}'),
        ("script", '{"outcome": {"colour": 1}}'),
        ("faults", '{"rates": {"slow": 2}}'),
        ("faults", '{"by_request": {"1": "explode"}}'),
        ("callbacks", "{}"),
        ("inbound", '{"from": "+12025550143"}'),
    ],
)
def test_a_control_request_that_makes_no_sense_is_400_and_changes_nothing(
    client: Any, simulator: RunningSimulator, path: str, body: str
) -> None:
    assert requests.post(f"{simulator.url}/simulator/{path}", data=body, timeout=20).status_code == 400
    assert client.messages.create(to=PATIENT, from_=SENDER, body="x").status == "queued"


def test_the_script_can_be_set_from_outside(client: Any, simulator: RunningSimulator, clock: HandClock) -> None:
    outcome = {"final": "undelivered", "error_code": 30005, "sent_after": 0, "final_after": 0}
    scripts: list[dict[str, Any]] = [{"number": PATIENT, "outcome": outcome}, {"outcome": {"refuse": 21612}}]
    for given in scripts:
        assert requests.post(f"{simulator.url}/simulator/script", json=given, timeout=20).json() == {"ok": True}
    made = client.messages.create(to=PATIENT, from_=SENDER, body="x")
    assert client.messages(made.sid).fetch().error_code == 30005
    assert refused(client, to="+12025550144", from_=SENDER, body="x") == (400, 21612)


def test_two_runs_with_one_seed_are_equal(settings: AccountSettings) -> None:
    ledgers = []
    for _ in range(2):
        with (
            running_simulator(settings, clock=HandClock(), rng=random.Random(5)) as simulator,
            twilio_client(simulator.url, ACCOUNT, "t0ken") as client,
        ):
            client.messages.create(to=PATIENT, from_=SENDER, body="x")
            ledgers.append(simulator.ledger.as_json())
    assert ledgers[0] == ledgers[1]
