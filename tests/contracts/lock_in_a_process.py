"""Run by test_store_sqlite: takes the process lock of a database; 0 when it got it, 3 when refused."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from store.engine import DatabaseError, Engine


async def main(url: str) -> int:
    engine = Engine(url)
    try:
        engine.lock_process()
    except DatabaseError:
        print("refused")
        return 3
    finally:
        await engine.close()
    print("locked")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1])))
