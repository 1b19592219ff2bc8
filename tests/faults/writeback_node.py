"""A node that sends what goes back to the EHR, to be killed: `python -m tests.faults.writeback_node FOLDER PORT NODE INSTANT`.

Its clock stands at INSTANT and is moved to the next attempt when nothing may leave, so that no pause is waited for. It ends when
nothing waits any more.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import datetime
from pathlib import Path

from tests.carebell.writeback.bench import attached


async def main(folder: Path, port: int, node: str, at: datetime) -> None:
    async with attached(folder, port, node=node, at=at) as made:
        await made.until_settled()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], datetime.fromisoformat(sys.argv[4])))
