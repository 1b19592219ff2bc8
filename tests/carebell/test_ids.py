"""carebell/ids.py: every id is new, whatever the threads do."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

from carebell.ids import ControlIds, RandomIds


def test_ids_are_32_hex_digits_and_all_different_in_any_thread() -> None:
    new_id = RandomIds()
    with ThreadPoolExecutor(4) as threads:
        ids = [one for some in threads.map(lambda _: [new_id() for _ in range(1000)], range(4)) for one in some]
    assert len(set(ids)) == 4000
    assert all(re.fullmatch(r"[0-9a-f]{32}", one) for one in ids)


def test_ids_of_a_later_draw_lie_behind_those_of_an_earlier_one() -> None:
    now = iter(range(1_800_000_000_000_000_000, 2**62, 1_000_000))
    ids = RandomIds(lambda: next(now))
    draws = [sorted(ids() for _ in range(256)) for _ in range(4)]
    assert all(one[-1] < after[0] for one, after in pairwise(draws))
    assert all(re.fullmatch("[0-9a-f]{32}", own) for draw in draws for own in draw)
    assert len({own[12:] for draw in draws for own in draw}) == 4 * 256


def test_control_ids_have_20_characters_in_the_order_of_time() -> None:
    milliseconds = iter((1_800_000_000_000, 1_800_000_000_001, 1_800_000_000_002, 2**49))
    ids = ControlIds(lambda: next(milliseconds) * 1_000_000)
    drawn = [ids() for _ in range(4)]
    assert drawn == sorted(drawn)
    assert all(re.fullmatch("[0-9A-V]{20}", own) for own in drawn)
    fixed = ControlIds(lambda: 1_800_000_000_000_000_000, lambda bits: 2**bits - 1)
    assert fixed()[10:] == "V" * 10
    assert int(fixed()[:10], 32) == 1_800_000_000_000
