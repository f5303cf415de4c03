"""A reverse proxy as a hub has one: what is below a prefix goes to one server, nothing is held back.

The rest is refused.

Run as `python proxy.py PREFIX HOST:PORT`; prints its own port. Each connection carries one request: HTTP, server-sent
events or a websocket, byte by byte both ways.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

REFUSED = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while part := await source.read(65536):
            sink.write(part)
            await sink.drain()
    with contextlib.suppress(ConnectionError, RuntimeError):
        sink.close()


async def serve(prefix: str, host: str, port: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()
            return
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        if not first.split(" ")[1].startswith(prefix):
            writer.write(REFUSED)
            await writer.drain()
            writer.close()
            return
        if not any(line.lower().startswith("upgrade:") for line in lines):
            lines = [line for line in lines if not line.lower().startswith("connection:")] + ["Connection: close"]
        upstream, there = await asyncio.open_connection(host, port)
        there.write("\r\n".join([first, *lines, "", ""]).encode("latin-1"))
        await asyncio.gather(pipe(reader, there), pipe(upstream, writer))

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    where, _, number = sys.argv[2].rpartition(":")
    asyncio.run(serve(sys.argv[1], where, int(number)))
