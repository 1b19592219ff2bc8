"""How descriptors are divided: what the staff's pages take, HL7 connections do not get."""

from __future__ import annotations

import pytest

from carebell.bootstrap.descriptors import share_out, share_out_to_workers
from carebell.exits import ConfigurationStop


@pytest.mark.parametrize(("limit", "pages"), [(1024, 64), (1_048_576, 100)])
def test_the_staffs_pages_have_places_of_their_own(limit: int, pages: int) -> None:
    alone, beside = share_out(limit, 2), share_out(limit, 2, portal=True)
    assert (alone.portal, beside.portal) == (0, pages)
    assert (beside.http, beside.gateway) == (alone.http, alone.gateway)
    assert alone.connections - beside.connections > pages
    assert share_out_to_workers(limit, 2, 4, portal=True).portal == pages


def test_too_few_descriptors_are_said_at_the_start() -> None:
    with pytest.raises(ConfigurationStop, match="LimitNOFILE"):
        share_out(256, 2, portal=True)
