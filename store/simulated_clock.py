"""A rehearsal's clock, for the commands that look into its database: what is past for the service must be past for them.

`carebell serve --clock ... --speed ...` notes where its time stands; a service on the real clock takes the note away.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, select

from store.instants import from_microseconds, to_microseconds
from store.tables import meta
from store.upsert import insert_into

_NAME: Final = "rehearsal_clock"


def note(conn: Connection, *, shown: datetime, real: datetime, speed: float) -> None:
    """The service's clock shows `shown` while the machine's shows `real`, and runs `speed` times as fast."""
    text = json.dumps({"shown": to_microseconds(shown), "real": to_microseconds(real), "speed": speed})
    insert = insert_into(conn, meta).values(name=_NAME, value=text)
    conn.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"value": text}))


def clear(conn: Connection) -> None:
    """The service runs on the real clock."""
    conn.execute(delete(meta).where(meta.c.name == _NAME))


def now(conn: Connection, real: datetime) -> datetime:
    """What the service's clock shows when the machine's shows `real`."""
    text = conn.execute(select(meta.c.value).where(meta.c.name == _NAME)).scalar_one_or_none()
    if text is None:
        return real
    noted = json.loads(text)
    elapsed = (real - from_microseconds(int(noted["real"]))) * float(noted["speed"])
    return from_microseconds(int(noted["shown"])) + max(elapsed, timedelta())
