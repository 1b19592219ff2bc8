"""A web service that takes a visit's connection status, as data: the model of `ehr/status_maps/*.yaml`. Pure.

The contract of such a service is the vendor's, and part of it is shown to its customers alone. What is not public is `null` here,
and a map with `null` is not used: whoever has the contract writes it into a copy.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from config.json_template import check_template
from config.outmap import EVENT_KEY

_CONFIG: Final = ConfigDict(
    frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, hide_input_in_errors=True
)
STATUS: Final = "ConnectionStatus"


def _template(text: Any) -> Any:
    check_template(text, fhir=False)
    return text


StatusTemplate = Annotated[str, Field(max_length=250), AfterValidator(_template)]


class ConnectionStatusMap(BaseModel):
    """One service's request."""

    model_config = _CONFIG
    name: str = Field(min_length=1, max_length=60)
    """A name for the map, shown by `carebell writeback show`."""
    method: Literal["POST", "PUT"] | None
    """null: open."""
    client_id_header: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]{0,60}$")] = "Epic-Client-ID"
    """The header with the client id."""
    fields: dict[Annotated[str, Field(pattern=r"^[A-Za-z]{1,60}$")], StatusTemplate | None] = Field(min_length=1)
    """The request's JSON fields but ConnectionStatus; null: open."""
    statuses: dict[Annotated[str, Field(pattern=EVENT_KEY)], StatusTemplate | None] = Field(min_length=1)
    """Event to ConnectionStatus; `connected.provider` and the like where that person is meant. null: open."""

    def has(self, event: str) -> bool:
        """Whether there is a status for an event, perhaps only for one person."""
        return any(key.partition(".")[0] == event for key in self.statuses)

    def open_points(self, event: str) -> list[str]:
        """What somebody with the contract has to say first."""
        points = ["method"] if self.method is None else []
        points += [f"fields.{name}" for name, template in self.fields.items() if template is None]
        return points + [
            f"statuses.{key}"
            for key, status in self.statuses.items()
            if status is None and key.partition(".")[0] == event
        ]

    def lacks(self, event: str, name: str) -> str | None:
        """Why an event cannot go back by this map, in words; None: it can.

        Args:
            name: of the map, as the configuration has it.
        """
        if not self.has(event):
            return f"the status map {name} has no status for it"
        points = self.open_points(event)
        if not points:
            return None
        return (
            f"the status map {name} leaves open what is not public: {', '.join(points)}; write what the service's contract says "
            "into a copy, and name the copy in epic_status.map"
        )

    def body(self, event: str, *, by: str | None = None) -> dict[str, str] | None:
        """The request's templates for an event; None: there is none, or something is open."""
        keys = ([f"{event}.{by}"] if by else []) + [event]
        status = next((self.statuses[key] for key in keys if key in self.statuses), None)
        known = {name: template for name, template in self.fields.items() if template is not None}
        if status is None or self.method is None or len(known) != len(self.fields):
            return None
        return {**known, STATUS: status}
