"""python-hl7's own MLLP server as its documentation shows it: parse, `create_ack`, answer. Keeps nothing."""

from __future__ import annotations

import asyncio

import hl7
from hl7.mllp import HL7StreamReader, HL7StreamWriter, start_hl7_server


async def _answer(reader: HL7StreamReader, writer: HL7StreamWriter) -> None:
    try:
        while not writer.is_closing():
            message: hl7.Message = await reader.readmessage()
            writer.writemessage(message.create_ack())
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    server = await start_hl7_server(_answer, host="127.0.0.1", port=0, encoding="utf-8")
    print("ready", server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
