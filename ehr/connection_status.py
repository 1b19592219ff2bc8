"""Tell a web service such as Epic's SetExternalConnectionStatus that somebody is connected, or not any more. Blocking.

The request says a state, so that a repetition changes nothing. The client id is a header; whatever else a service wants of its
callers is its customers' to know.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from ehr.delivery import Delivery, Unanswered, judged
from oauth.faults import FetchFault
from oauth.fetcher import Fetcher


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusService:
    """Attributes:
    header: the name of the header that has the client id.
    now: aware, UTC.
    """

    fetcher: Fetcher = field(repr=False)
    url: str
    header: str
    client_id: str = field(repr=False)
    now: Callable[[], datetime] = field(repr=False)

    def deliver(self, content: bytes) -> Delivery:
        """Carry out a plan of `ehr.fhir_plan.status_plan`. Unanswered: there is no answer that counts."""
        plan = json.loads(content)
        headers = [("Accept", "application/json"), ("Content-Type", "application/json"), (self.header, self.client_id)]
        body = json.dumps(plan["body"], separators=(",", ":"), ensure_ascii=False).encode()
        try:
            answer = self.fetcher.call(plan["method"], self.url, headers=headers, body=body)
        except FetchFault as fault:
            raise Unanswered(fault.code.upper()) from None
        return judged(answer.status, answer.headers, answer.document, self.now())
