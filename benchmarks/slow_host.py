"""A host on loopback whose files never end: it sends a byte a second to each of any number of connections."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from benchmarks.attacks import DRIP_SECONDS
from benchmarks.wire import HEAD_END, HOST

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n\r\n"


@contextmanager
def dripping() -> Iterator[str]:
    """The URL of a file that drips, for the length of a block. Any path below it drips too."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(_drip, HOST, 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.sockets[0].getsockname()[1]}/clip.mp4"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        server.close()
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


async def _drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
        await reader.readuntil(HEAD_END)
        writer.write(HEAD)
        while True:
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)
