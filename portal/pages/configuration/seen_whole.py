"""Who may see the whole file: everybody but those who see their own environments alone."""

from __future__ import annotations

from portal.page_request import NotAllowed, PageRequest


def require(request: PageRequest) -> None:
    """Raises NotAllowed."""
    if request.scope is not None:
        raise NotAllowed(
            sentence="The file has the settings of every environment. You see those that are yours on the page Environments."
        )
