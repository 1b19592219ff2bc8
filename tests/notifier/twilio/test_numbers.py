"""The organisation's numbers through the real client: what a plan says, what carrying it out asks of Twilio, and its failures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from notifier.twilio.credentials import Credentials
from notifier.twilio.http import BoundedHttpClient, make_client
from notifier.twilio.numbers import AvailableNumber, NumbersError, OwnedNumber, Plan, Step, TwilioNumbers
from tests.notifier.scripted_server import Act, Script, answer, hang_up, refused_url, serving
from tests.notifier.twilio.test_gateway import ACCOUNT, SERVICE, TOKEN, error

NUMBER, NUMBER_SID = "+14255550100", "PN" + "5" * 32
WEBHOOK = "https://sms.lamna.example/twilio/inbound"
BASE = f"/2010-04-01/Accounts/{ACCOUNT}"
OWNED = {
    "sid": NUMBER_SID,
    "phone_number": NUMBER,
    "friendly_name": "(425) 555-0100",
    "sms_url": "",
    "capabilities": {"voice": True, "sms": True, "mms": True},
}


def owned(sms_url: str = "") -> OwnedNumber:
    return OwnedNumber(sid=NUMBER_SID, number=NUMBER, name="(425) 555-0100", sms_url=sms_url, sms_capable=True)


@contextmanager
def numbers(*acts: Act) -> Iterator[tuple[TwilioNumbers, Script]]:
    with serving(*acts) as script:
        http = BoundedHttpClient(script.url, 30)
        http.session.trust_env = False
        yield TwilioNumbers(make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http)), script
        http.close()


def test_list() -> None:
    with numbers(answer(200, {"incoming_phone_numbers": [OWNED]})) as (twilio, script):
        assert twilio.list() == (owned(),)
    assert (script.seen[0].method, script.seen[0].path) == ("GET", f"{BASE}/IncomingPhoneNumbers.json")


@pytest.mark.parametrize(("kind", "path"), [("local", "Local"), ("toll_free", "TollFree"), ("mobile", "Mobile")])
def test_search(kind: str, path: str) -> None:
    offer = {
        "phone_number": NUMBER,
        "locality": "Bellevue",
        "region": "WA",
        "iso_country": "US",
        "capabilities": {"SMS": True},
    }
    with numbers(answer(200, {"available_phone_numbers": [offer]})) as (twilio, script):
        result = twilio.search("US", kind, area_code=425, contains="555****", limit=5)  # type: ignore[arg-type]  # from the table
    assert result == (AvailableNumber(number=NUMBER, locality="Bellevue", region="WA", country="US", sms_capable=True),)
    assert script.seen[0].path == f"{BASE}/AvailablePhoneNumbers/US/{path}.json"
    assert script.seen[0].query == {"AreaCode": "425", "Contains": "555****", "SmsEnabled": "true", "PageSize": "5"}


def test_a_plan_says_what_would_happen_and_asks_twilio_nothing() -> None:
    with numbers(answer(500)) as (twilio, script):
        plan = twilio.plan_buy(NUMBER, WEBHOOK, SERVICE)
    assert plan == Plan(
        (
            Step(action="buy", number=NUMBER, costs=True),
            Step(action="set_webhook", number=NUMBER, target=WEBHOOK),
            Step(action="attach_service", number=NUMBER, target=SERVICE),
        )
    )
    assert plan.costs
    assert not twilio.plan_link(NUMBER, WEBHOOK).costs
    assert script.seen == []


def test_buying_and_linking() -> None:
    linked = {**OWNED, "sms_url": WEBHOOK}
    attached = {"sid": NUMBER_SID, "service_sid": SERVICE, "phone_number": NUMBER}
    done: list[Step] = []
    with numbers(answer(201, OWNED), answer(200, linked), answer(201, attached)) as (twilio, script):
        plan = twilio.plan_buy(NUMBER, WEBHOOK, SERVICE)
        assert twilio.apply(plan, done.append) == owned(WEBHOOK)
    assert tuple(done) == plan.steps
    assert [(seen.method, seen.path, seen.form) for seen in script.seen] == [
        ("POST", f"{BASE}/IncomingPhoneNumbers.json", {"PhoneNumber": NUMBER}),
        ("POST", f"{BASE}/IncomingPhoneNumbers/{NUMBER_SID}.json", {"SmsUrl": WEBHOOK, "SmsMethod": "POST"}),
        ("POST", f"/v1/Services/{SERVICE}/PhoneNumbers", {"PhoneNumberSid": NUMBER_SID}),
    ]


def test_linking_looks_the_number_up() -> None:
    with numbers(answer(200, {"incoming_phone_numbers": [OWNED]}), answer(200, {**OWNED, "sms_url": WEBHOOK})) as (
        twilio,
        script,
    ):
        assert twilio.apply(twilio.plan_link(NUMBER, WEBHOOK)) == owned(WEBHOOK)
    assert script.seen[0].query["PhoneNumber"] == NUMBER


def test_an_empty_plan_does_nothing() -> None:
    with numbers(answer(500)) as (twilio, script):
        assert twilio.apply(twilio.plan_link(NUMBER)) is None
    assert script.seen == []


def test_a_number_of_somebody_else_is_not_linked() -> None:
    with numbers(answer(200, {"incoming_phone_numbers": []})) as (twilio, _), pytest.raises(NumbersError) as caught:
        twilio.apply(twilio.plan_link(NUMBER, WEBHOOK))
    assert caught.value.code == "not_owned"


@pytest.mark.parametrize(
    ("act", "code", "twilio_code"),
    [
        (error(21422, 400), "refused", 21422),
        (error(20003, 401), "refused", 20003),
        (error(20500, 500), "unclear", None),
        (answer(408, raw=b"too slow"), "unclear", None),
        (hang_up, "unclear", None),
        (answer(201, {}), "unclear", None),
        (answer(201, raw=b"{"), "unclear", None),
    ],
    ids=["refused", "auth", "500", "proxy-time-out", "hang-up", "no-sid", "half"],
)
def test_a_purchase_that_fails_is_never_repeated(act: Act, code: str, twilio_code: int | None) -> None:
    with numbers(act) as (twilio, script), pytest.raises(NumbersError) as caught:
        twilio.apply(twilio.plan_buy(NUMBER, WEBHOOK))
    assert (caught.value.code, caught.value.twilio_code) == (code, twilio_code)
    assert len(script.seen) == 1


@pytest.mark.parametrize(
    ("act", "code", "twilio_code"),
    [
        (error(20003, 401), "refused", 20003),
        (error(21452, 400), "refused", 21452),
        (answer(404, raw=b"<html>"), "refused", None),
        (answer(403, {"code": "no"}), "refused", None),
        (answer(403, ["no"]), "refused", None),
        (error(20500, 500), "unclear", None),
        (hang_up, "unclear", None),
    ],
    ids=["auth", "no-number", "no-code", "code-of-words", "a-list", "500", "hang-up"],
)
def test_a_list_that_twilio_refuses_says_why(act: Act, code: str, twilio_code: int | None) -> None:
    """The library raises another exception for a page than for a single resource."""
    for ask in (TwilioNumbers.list, lambda twilio: twilio.search("US")):
        with numbers(act) as (twilio, _), pytest.raises(NumbersError) as caught:
            ask(twilio)
        assert (caught.value.code, caught.value.twilio_code) == (code, twilio_code)
        assert "0143" not in str(caught.value)


def test_nobody_listening() -> None:
    http = BoundedHttpClient(refused_url(), 30)
    http.session.trust_env = False
    twilio = TwilioNumbers(make_client(Credentials(account_sid=ACCOUNT, tokens=(TOKEN,)), http))
    with pytest.raises(NumbersError) as caught:
        twilio.list()
    assert caught.value.code == "not_sent"


def test_bad_arguments_ask_twilio_nothing() -> None:
    with numbers(answer(500)) as (twilio, script):
        for bad in (
            lambda: twilio.plan_buy("4255550100"),
            lambda: twilio.plan_link(NUMBER, "http://sms.lamna.example/"),
            lambda: twilio.plan_link(NUMBER, None, "MG1"),
            lambda: twilio.search("usa"),
        ):
            with pytest.raises(NumbersError) as caught:
                bad()
            assert caught.value.code == "bad_argument"
    assert script.seen == []
