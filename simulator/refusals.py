"""The errors of Twilio's API that the simulator can answer, in Twilio's own form.

Source: Twilio's error dictionary (twilio.com/docs/api/errors); the words here are ours. Shape of an error's body:
`{"code": 21211, "message": "...", "more_info": "https://www.twilio.com/docs/errors/21211", "status": 400}`.
"""

from __future__ import annotations

from typing import Final

REFUSALS: Final[dict[int, tuple[int, str]]] = {
    20001: (400, "A parameter is not acceptable"),
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20009: (409, "The message is not in a final state yet"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too many requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service is temporarily unavailable"),
    21211: (400, "The 'To' number is not a valid phone number"),
    21212: (400, "The 'From' number is not a valid phone number, short code or sender id"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21268: (400, "The 'To' number is a premium number"),
    21408: (400, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number"),
    21421: (400, "PhoneNumber is invalid"),
    21422: (400, "PhoneNumber is not available"),
    21451: (400, "AreaCode is invalid"),
    21452: (400, "No phone numbers found in AreaCode"),
    21602: (400, "Message body is required"),
    21603: (400, "A 'From' phone number or a Messaging Service is required"),
    21604: (400, "A 'To' phone number is required"),
    21606: (400, "The 'From' phone number is not an SMS-capable number of this account"),
    21608: (400, "A trial account cannot send to an unverified number"),
    21609: (400, "The StatusCallback URL is not a valid URL"),
    21610: (400, "Attempt to send to unsubscribed recipient"),
    21611: (400, "The 'From' number has exceeded the maximum number of queued messages"),
    21612: (400, "The message cannot be sent with this combination of 'To' and 'From'"),
    21614: (400, "The 'To' number is not a valid mobile number"),
    21617: (400, "The message body exceeds the 1600 character limit"),
    21624: (400, "ValidityPeriod must be a whole number of seconds from 1 to 36000"),
    21635: (400, "The 'To' number is a landline"),
    21659: (400, "The 'From' number is not a Twilio phone number of this account"),
    21701: (400, "The Messaging Service does not exist"),
    21703: (400, "The Messaging Service has no phone number available"),
    21710: (409, "The phone number is already in the Messaging Service"),
    30409: (400, "This message cannot be canceled"),
}
"""Error code -> HTTP status and message. A code scripted for a number that is missing here is answered as a 400."""


class ApiError(Exception):
    """A request that Twilio would refuse.

    Attributes:
        code: Twilio's error code. status: HTTP.
    """

    def __init__(self, code: int) -> None:
        self.code = code
        self.status, self.reason = REFUSALS.get(code, (400, "The message was refused"))
        super().__init__(f"{code}: {self.reason}")

    def payload(self) -> dict[str, object]:
        return {
            "code": self.code,
            "message": self.reason,
            "more_info": f"https://www.twilio.com/docs/errors/{self.code}",
            "status": self.status,
        }
