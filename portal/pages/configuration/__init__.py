"""carebell.yaml: as it is, as somebody wants it, as it was. One module for each."""

from __future__ import annotations

from portal.configuration import ConfigurationDesk
from portal.pages.configuration import file, history, preview
from portal.route_table import Page


def pages(desk: ConfigurationDesk) -> tuple[Page, ...]:
    return (*file.pages(desk), *preview.pages(desk), *history.pages(desk))
