"""carebell/ids.py: every id is new, whatever the threads do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

from carebell.ids import RandomIds


def test_ids_are_32_hex_digits_and_all_different_in_any_thread() -> None:
    new_id = RandomIds()
    with ThreadPoolExecutor(4) as threads:
        ids = [one for some in threads.map(lambda _: [new_id() for _ in range(1000)], range(4)) for one in some]
    assert len(set(ids)) == 4000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)
