"""Your phone numbers, through its pages, over a store and the simulated Twilio, which notes whatever would have cost money."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from carebell.staff import numbers as staff_numbers
from carebell.staff.numbers import LONGEST_WAY, StaffNumbers
from carebell.staff.sms_texts import SmsTexts
from config.load import load
from portal.pages import numbers as pages
from portal.roles import Role
from simulator.faults import FaultPlan, ScriptedFault
from simulator.twilio_api import RunningSimulator
from store import audit
from store.engine import Store, open_store
from store.keys import create_key_file, read_key_file
from store.vault import Vault
from tests.carebell.commands.test_numbers import OWN, TOKEN, account, twilio
from tests.carebell.staff.clinic_staff import DESK
from tests.portal.pages.staff import NOW, PASSWORD, Browser, browsing, person, session_of, words
from tests.store.conftest import migrated_file
from tests.story.folder import change

__all__ = ["account", "migrated_file", "twilio"]

KIM = session_of(person(Role.ADMINISTRATOR))
WEBHOOK = "https://sms.lamna.example/twilio/inbound"


@dataclass
class Office:
    """The desk over a store, and a browser."""

    desk: StaffNumbers
    store: Store
    browser: Browser = field(init=False)

    def audited(self) -> list[tuple[str, str, str, str | None]]:
        with self.store.read() as conn:
            return [(entry.actor, entry.action, entry.subject, entry.after) for entry in audit.entries(conn)]

    def offered(self, **fields: str) -> list[str]:
        """The numbers that the page offers."""
        query = "&".join(f"{name}={value}" for name, value in {"country": "US", "kind": "local", **fields}.items())
        return re.findall(r'name="number" value="(\+\d+)"', self.browser.get(f"/numbers/new?{query}").text)

    def order(self, number: str, action: str = "buy") -> str:
        """The address of a new order."""
        made = self.browser.post("/numbers/orders", {"action": action, "number": number})
        assert made.status_code == 303, words(made)
        return made.headers["location"]

    def page(self, address: str) -> str:
        return words(self.browser.get(address))


@pytest.fixture
def office(account: Path, migrated_file: Path, tmp_path: Path) -> Iterator[Office]:
    shutil.copy(migrated_file, tmp_path / "carebell.db")
    create_key_file(tmp_path / "own.key")
    store = open_store(f"sqlite:///{tmp_path / 'carebell.db'}")
    desk = StaffNumbers(
        loaded=lambda: load(account, {}),
        store=store,
        vault=Vault(read_key_file(tmp_path / "own.key")),
        now=lambda: NOW,
    )
    office = Office(desk=desk, store=store)
    with browsing(pages.pages(desk)) as browser:
        office.browser = browser.sign_in(Role.ADMINISTRATOR)
        yield office
        assert browser.failures == []
    store.close()


def test_the_accounts_numbers_and_who_texts_from_them(office: Office) -> None:
    page = office.page("/numbers")
    assert f"{OWN} - yes production nowhere Link it {OWN}" in page
    assert "not in this account" not in page


def test_a_sender_that_the_account_lacks_is_said(office: Office, account: Path) -> None:
    change(account, {"environments": {"production": {"sms": {"from": "+14255550177"}}}})
    assert "production sends from +14255550177, which Twilio does not list" in office.page("/numbers")


def test_looking_at_numbers_for_sale_buys_nothing(office: Office, twilio: RunningSimulator) -> None:
    offers = office.offered(area_code="425")
    assert len(offers) == staff_numbers.MOST_OFFERS
    assert all(number.startswith("+1425") for number in offers)
    assert list(twilio.ledger.purchases) == []
    assert office.audited() == []


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("country=USA&kind=local", "Type the country's two letters, such as US."),
        ("country=US&kind=pigeon", "Choose a kind of number."),
        ("country=US&kind=local&area_code=42", "Type an area code of three digits, such as 425."),
        ("country=US&kind=local&contains=abc", "Type two digits or more; * stands for any digit."),
    ],
)
def test_what_cannot_be_looked_for_is_said_beside_its_field(office: Office, typed: str, sentence: str) -> None:
    answer = office.browser.get(f"/numbers/new?{typed}")
    assert answer.status_code == 422
    assert words(answer).count(sentence) == 2


def test_an_order_says_what_it_costs_and_is_carried_out_once(office: Office, twilio: RunningSimulator) -> None:
    [number, *_] = office.offered()
    address = office.order(number)
    assert number.removeprefix("+") not in address
    page = office.page(address)
    assert "It costs money" in page
    assert f"Buy {number}" in page
    assert list(twilio.ledger.purchases) == []
    for _ in range(2):
        assert office.browser.post(address).headers["location"] == address
    assert [purchase.number for purchase in twilio.ledger.purchases] == [number]
    assert f"{number} belongs to your organisation now" in office.page(address)
    assert f"done Forward patients' replies to {number} to {WEBHOOK}" in office.page(address)
    assert "SMS notifications of production" in office.page(address)
    assert office.audited() == [
        ("portal:kim", "numbers.buy", number, ""),
        ("portal:kim", "numbers.link", number, WEBHOOK),
    ]


def test_two_forms_at_the_same_time_buy_one_number(office: Office, twilio: RunningSimulator) -> None:
    [number, *_] = office.offered()
    order = office.order(number).rpartition("/")[2]
    both = threading.Barrier(2)

    def press() -> None:
        both.wait()
        office.desk.carry_out(order, KIM, DESK, NOW)

    presses = [threading.Thread(target=press) for _ in range(2)]
    for thread in presses:
        thread.start()
    for thread in presses:
        thread.join()
    assert [purchase.number for purchase in twilio.ledger.purchases] == [number]
    assert [action for _, action, _, _ in office.audited()] == ["numbers.buy", "numbers.link"]


def test_buying_needs_the_password_again(office: Office, twilio: RunningSimulator) -> None:
    office.browser.sign_in(Role.ADMINISTRATOR, confirmed=False)
    [number, *_] = office.offered()
    address = office.order(number)
    asked = office.browser.post(address)
    assert asked.status_code == 403
    assert "Confirm that it is you" in words(asked)
    assert list(twilio.ledger.purchases) == []
    office.browser.post(address, {"password_or_code": PASSWORD})
    assert [purchase.number for purchase in twilio.ledger.purchases] == [number]


def test_a_number_is_linked(office: Office) -> None:
    address = office.order(OWN, "link")
    assert "It costs money" not in office.page(address)
    office.browser.post(address)
    assert f"Patients' replies to {OWN} reach Carebell now." in office.page(address)
    assert f"{OWN} - yes production Carebell" in office.page("/numbers")
    assert office.audited() == [("portal:kim", "numbers.link", OWN, WEBHOOK)]


def test_a_number_that_somebody_else_bought_is_not_ours_to_buy(office: Office, twilio: RunningSimulator) -> None:
    [number, *_] = office.offered()
    mine, same = office.order(number), office.order(number)
    office.browser.post(mine)
    office.browser.post(same)
    page = office.page(same)
    assert "This number is not for sale any more. Nothing was bought. Choose another one." in page
    assert len(twilio.ledger.purchases) == 1


def test_after_no_clear_answer_the_account_is_looked_at_and_nothing_is_bought_again(
    office: Office, twilio: RunningSimulator
) -> None:
    [number, *_] = office.offered()
    address = office.order(number)
    twilio.faults(FaultPlan(rates={ScriptedFault.ERROR_500_AFTER: 1.0}, every=True))
    office.browser.post(address)
    assert "Whether it was bought cannot be seen now." in office.page(address)
    twilio.faults(FaultPlan())
    office.browser.post(address)
    page = office.page(address)
    assert "It is not clear what was done" in page
    assert f"Twilio lists {number} among your numbers, so it was bought." in page
    assert len(twilio.ledger.purchases) == 1
    assert office.audited() == [("portal:kim", "numbers.buy", number, "no clear answer")]


def test_a_number_that_was_not_bought_after_no_clear_answer(office: Office, twilio: RunningSimulator) -> None:
    [number, *_] = office.offered()
    address = office.order(number)
    twilio.faults(FaultPlan(rates={ScriptedFault.ERROR_500_BEFORE: 1.0}, every=True))
    office.browser.post(address)
    twilio.faults(FaultPlan())
    assert f"Twilio does not list {number} among your numbers" in office.page(address)
    assert list(twilio.ledger.purchases) == []


def test_an_order_whose_end_nobody_saw(office: Office, twilio: RunningSimulator) -> None:
    """The service was stopped while Twilio was asked: its row says that it is under way, and stays so."""
    [number, *_] = office.offered()
    order = office.order(number).rpartition("/")[2]
    assert office.desk._orders.begin(order, KIM, NOW - LONGEST_WAY) is not None
    under_way = office.browser.get(f"/numbers/orders/{order}")
    assert f'hx-get="/numbers/orders/{order}/state?polls=2"' in under_way.text
    assert "Twilio is doing it. Look again" in words(under_way)
    part = office.browser.get(f"/numbers/orders/{order}/state?polls=60", part="order_state")
    assert "hx-get" not in part.text
    assert "<h1" not in part.text
    seen = office.desk.find(order, KIM, NOW + timedelta(seconds=1))
    assert seen is not None
    assert (seen.state, seen.is_owned) == ("unclear", False)
    assert office.desk.carry_out(order, KIM, DESK, NOW)
    assert list(twilio.ledger.purchases) == []


def test_an_order_belongs_to_whoever_made_it_for_a_day(office: Office) -> None:
    [number, *_] = office.offered()
    order = office.order(number).rpartition("/")[2]
    somebody = session_of(person(Role.SUPPORT))
    assert office.desk.find(order, somebody, NOW) is None
    assert not office.desk.carry_out(order, somebody, DESK, NOW)
    assert office.desk.find(order, KIM, NOW + timedelta(days=1)) is None
    assert office.browser.get("/numbers/orders/another").status_code == 404
    assert office.browser.post("/numbers/orders/another").status_code == 404


def test_an_address_that_changed_since_the_page_was_made_is_not_used(office: Office, account: Path) -> None:
    address = office.order(OWN, "link")
    change(account, {"gateway": {"twilio": {"public_url": "https://other.lamna.example"}}})
    office.browser.post(address)
    assert "was changed since this page was made. Nothing was done." in office.page(address)
    assert office.audited() == []


def test_what_is_no_number_makes_no_order(office: Office) -> None:
    assert office.browser.post("/numbers/orders", {"number": "five"}).status_code == 422


def test_without_an_account_or_a_way_the_page_says_what_to_do(office: Office, account: Path) -> None:
    change(account, {"gateway": {"twilio": {"api_base_url": "http://127.0.0.1:9"}}})
    assert "Twilio was not reached: not connected. Try again later" in office.page("/numbers")
    change(account, {"gateway": {"kind": "file", "twilio": {"account_sid": None}}})
    assert "gateway.twilio.account_sid: needed to talk to Twilio." in office.page("/numbers")
    assert "gateway.twilio.account_sid" in office.page("/numbers/new?country=US&kind=local")
    refused = office.browser.post("/numbers/orders", {"number": OWN, "action": "link"})
    assert refused.status_code == 422


def test_a_wrong_token_is_said_and_stands_on_no_page(office: Office, account: Path) -> None:
    token = account.parent / "twilio.token"
    token.chmod(0o600)
    token.write_text("another\n")
    page = office.page("/numbers")
    assert "Twilio does not accept this account's SID or token." in page
    assert TOKEN not in page


def test_numbers_that_were_seen_can_be_chosen_on_the_page_of_an_environment(office: Office, account: Path) -> None:
    texts = SmsTexts(loaded=lambda: load(account, {}), account_numbers=office.desk.known)
    [number, *_] = office.offered()
    address = office.order(number)
    assert number not in texts.senders()
    office.browser.post(address)
    assert number in texts.senders()
