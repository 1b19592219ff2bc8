"""Telephone numbers of the simulated account: owned (IncomingPhoneNumbers) and for sale (AvailablePhoneNumbers).

For sale are the fictitious numbers alone: `area code` 555-0100 to 555-0199, in every area code the North American plan
allows. Nothing else is ever handed out, so a rehearsal's number can ring nobody.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime

from simulator.messages import VERSION, whole_page
from simulator.refusals import ApiError

_AREA = re.compile(r"[2-9](?!11)[0-9]{2}")
_FICTITIOUS = re.compile(r"\+1([2-9](?!11)[0-9]{2})55501[0-9]{2}")
_SETTABLE = {
    "FriendlyName": "friendly_name",
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "SmsFallbackUrl": "sms_fallback_url",
    "StatusCallback": "status_callback",
    "StatusCallbackMethod": "status_callback_method",
    "VoiceUrl": "voice_url",
}


@dataclass(slots=True, kw_only=True)
class SimulatedNumber:
    """One number of the account. `settings` are its JSON keys that a client may write."""

    sid: str
    number: str
    bought: datetime
    changed: datetime
    sms: bool = True
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def sms_url(self) -> str:
        return self.settings.get("sms_url", "")

    def as_json(self, account_sid: str) -> dict[str, object]:
        shown: dict[str, object] = {
            "account_sid": account_sid,
            "address_requirements": "none",
            "address_sid": None,
            "api_version": VERSION,
            "beta": False,
            "bundle_sid": None,
            "capabilities": {"fax": False, "mms": True, "sms": self.sms, "voice": True},
            "date_created": format_datetime(self.bought),
            "date_updated": format_datetime(self.changed),
            "emergency_address_sid": None,
            "emergency_address_status": "unregistered",
            "emergency_status": "Inactive",
            "friendly_name": self.number,
            "identity_sid": None,
            "origin": "twilio",
            "phone_number": self.number,
            "sid": self.sid,
            "sms_application_sid": None,
            "sms_fallback_method": "POST",
            "sms_fallback_url": "",
            "sms_method": "POST",
            "sms_url": "",
            "status": "in-use",
            "status_callback": "",
            "status_callback_method": "POST",
            "trunk_sid": None,
            "type": "local",
            "uri": f"/{VERSION}/Accounts/{account_sid}/IncomingPhoneNumbers/{self.sid}.json",
            "voice_application_sid": None,
            "voice_caller_id_lookup": False,
            "voice_fallback_method": "POST",
            "voice_fallback_url": None,
            "voice_method": "POST",
            "voice_receive_mode": "voice",
            "voice_url": None,
        }
        return shown | self.settings


class NumberBook:
    """What the account owns. `rng` gives the sids."""

    def __init__(self, account_sid: str, rng: random.Random) -> None:
        self._account_sid = account_sid
        self._rng = rng
        self._owned: dict[str, SimulatedNumber] = {}

    def add(self, number: str, now: datetime, *, sms: bool = True) -> SimulatedNumber:
        owned = SimulatedNumber(
            sid=f"PN{self._rng.getrandbits(128):032x}", number=number, bought=now, changed=now, sms=sms
        )
        self._owned[owned.sid] = owned
        return owned

    def holder(self, number: str) -> SimulatedNumber | None:
        return next((owned for owned in self._owned.values() if owned.number == number), None)

    def get(self, sid: str) -> SimulatedNumber:
        """ApiError 20404 where the account has no such number."""
        if sid not in self._owned:
            raise ApiError(20404)
        return self._owned[sid]

    def release(self, sid: str) -> str:
        number = self.get(sid).number
        del self._owned[sid]
        return number

    def page(self, query: Mapping[str, str]) -> dict[str, object]:
        shown = [
            owned.as_json(self._account_sid)
            for owned in self._owned.values()
            if query.get("PhoneNumber", "").replace("*", "") in owned.number
            and query.get("FriendlyName", "") in ("", owned.settings.get("friendly_name", owned.number))
        ]
        return whole_page(
            "incoming_phone_numbers", shown, f"/{VERSION}/Accounts/{self._account_sid}/IncomingPhoneNumbers.json"
        )

    def buy(self, form: Mapping[str, str], now: datetime) -> SimulatedNumber:
        """The number that PhoneNumber names, or the first free one of AreaCode. ApiError 21421, 21422, 21451, 21452."""
        number = form.get("PhoneNumber", "")
        if not number:
            area = form.get("AreaCode", "")
            if not area:
                raise ApiError(21421)
            if _AREA.fullmatch(area) is None:
                raise ApiError(21451)
            free = self._free(area)
            if not free:
                raise ApiError(21452)
            number = free[0]
        if re.fullmatch(r"\+[1-9][0-9]{6,14}", number) is None:
            raise ApiError(21421)
        if _FICTITIOUS.fullmatch(number) is None or self.holder(number) is not None:
            raise ApiError(21422)
        owned = self.add(number, now)
        self._write(owned, form)
        return owned

    def update(self, sid: str, form: Mapping[str, str], now: datetime) -> SimulatedNumber:
        owned = self.get(sid)
        self._write(owned, form)
        owned.changed = now
        return owned

    def for_sale(self, country: str, query: Mapping[str, str]) -> dict[str, object]:
        """AvailablePhoneNumbers/{country}/Local: filters AreaCode, Contains (`*` is any digit), PageSize; 20404 outside US
        and CA."""
        if country not in ("US", "CA"):
            raise ApiError(20404)
        area = query.get("AreaCode", "425")
        wanted = re.compile(re.escape(query.get("Contains", "")).replace(r"\*", "[0-9]"))
        limit = int(query.get("PageSize", "50") or 50) if query.get("PageSize", "50").isdigit() else 50
        free = self._free(area) if _AREA.fullmatch(area) else []
        matches = [number for number in free if wanted.search(number)][:limit]
        items: list[dict[str, object]] = [
            {
                "address_requirements": "none",
                "beta": False,
                "capabilities": {"fax": False, "mms": True, "sms": True, "voice": True},
                "friendly_name": f"({number[2:5]}) {number[5:8]}-{number[8:]}",
                "iso_country": country,
                "lata": None,
                "latitude": None,
                "locality": None,
                "longitude": None,
                "phone_number": number,
                "postal_code": None,
                "rate_center": None,
                "region": None,
            }
            for number in matches
        ]
        base = f"/{VERSION}/Accounts/{self._account_sid}/AvailablePhoneNumbers/{country}/Local.json"
        return whole_page("available_phone_numbers", items, base)

    def _free(self, area: str) -> list[str]:
        return [n for last in range(100) if self.holder(n := f"+1{area}55501{last:02d}") is None]

    def _write(self, owned: SimulatedNumber, form: Mapping[str, str]) -> None:
        owned.settings.update({_SETTABLE[name]: value for name, value in form.items() if name in _SETTABLE})
