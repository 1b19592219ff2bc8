"""How fast a sender may text, by its kind of number; pure. The token bucket is a row that all nodes share (`store.rates`).

Carriers meter segments, not texts (long code 1/s, toll-free 3/s, short code 100/s).
"""

from __future__ import annotations

import re
from typing import Final

from config.sms_consistency import TOLL_FREE

_SHORT_CODE: Final = re.compile(r"[0-9]{5,6}")

LONG_CODE_RATE: Final = 1.0
TOLL_FREE_RATE: Final = 3.0
SHORT_CODE_RATE: Final = 100.0


def default_rate(sender: str) -> float:
    """Segments a second by kind of number. Another name counts as one long code unless a rate is configured."""
    if _SHORT_CODE.fullmatch(sender):
        return SHORT_CODE_RATE
    return TOLL_FREE_RATE if TOLL_FREE.fullmatch(sender) else LONG_CODE_RATE
