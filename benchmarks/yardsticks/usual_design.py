"""What most such services are: hl7.mllp, a full parse with python-hl7, rows through the SQLAlchemy ORM, a commit a message.

It keeps as many rows as Carebell does for a booking (memory, appointment, two texts), on SQLite with the same durability, and
verifies, encrypts and plans nothing.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from datetime import datetime

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server
from sqlalchemy import create_engine, event
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker


class Base(DeclarativeBase):
    pass


class MessageRow(Base):
    __tablename__ = "messages"
    control_id: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]


class AppointmentRow(Base):
    __tablename__ = "appointments"
    id: Mapped[str] = mapped_column(primary_key=True)
    reference: Mapped[str] = mapped_column(index=True)
    start: Mapped[str]
    phone: Mapped[str]


class Text(Base):
    __tablename__ = "outbox"
    id: Mapped[str] = mapped_column(primary_key=True)
    appointment: Mapped[str] = mapped_column(index=True)
    due: Mapped[str] = mapped_column(index=True)


def _store(sessions: sessionmaker[Session], message: hl7.Message) -> None:
    with sessions() as session:
        own = secrets.token_hex(16)
        start = str(message.segment("SCH")[11][0])
        session.add(MessageRow(control_id=str(message.segment("MSH")[10]), received_at=datetime.now()))  # noqa: DTZ005
        session.add(
            AppointmentRow(
                id=own, reference=str(message.segment("SCH")[1]), start=start, phone=str(message.segment("PID")[13])
            )
        )
        session.add_all(Text(id=secrets.token_hex(16), appointment=own, due=start) for _ in range(2))
        session.commit()


async def _serve(file: str) -> None:
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def prepare(connection: object, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            connection.execute(f"PRAGMA {pragma}").close()  # type: ignore[attr-defined]

    Base.metadata.create_all(engine)
    sessions = sessionmaker(engine)

    async def answer(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
        try:
            while not writer.is_closing():
                message = await reader.readmessage()
                _store(sessions, message)
                writer.writemessage(message.create_ack())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await start_hl7_server(answer, host="127.0.0.1", port=0, encoding="utf-8")
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
