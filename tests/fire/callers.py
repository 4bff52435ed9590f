"""Callers over plain sockets, who see every byte and can leave at any."""

import asyncio
import dataclasses
import json
import socket
import struct
import time

PATIENCE = 30
NEVER_READ = struct.pack("ii", 1, 0)  # To linger for no time: closing resets the connection.


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: str
    took: float  # Seconds, to the last byte.

    @property
    def is_whole(self):
        return self.headers.get("content-type") != "text/event-stream" or "data: [DONE]" in self.body


def body(prompt, model="gpt-4o-mini", tokens=8, stream=False):
    messages = [{"role": "user", "content": prompt}]
    return json.dumps({"model": model, "max_tokens": tokens, "stream": stream, "messages": messages}).encode()


def request(house, caller, sent, *headers, path="/v1/chat/completions"):
    """A request as it goes over the wire."""
    key = house.callers[caller]
    lines = [f"POST {path} HTTP/1.1", f"host: 127.0.0.1:{house.port}", f"authorization: Bearer {key}"]
    lines += ["content-type: application/json", f"content-length: {len(sent)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + sent


class Connection:
    """One connection; as many exchanges as the other end allows."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port):
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    async def ask(self, sent):
        """One exchange. A connection that ends before the answer does is a `ConnectionError`."""
        begun = time.monotonic()
        self.writer.write(sent)
        try:
            return await asyncio.wait_for(self._answer(begun), PATIENCE)
        except asyncio.IncompleteReadError as cut:
            raise ConnectionResetError(f"cut after {cut.partial[-200:]!r}") from None

    async def _answer(self, begun):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        if headers.get("transfer-encoding") == "chunked":
            text = b"".join([chunk async for chunk in self._chunks()])
        else:
            text = await self.reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection") == "close":
            self.leave()
        return Answer(int(status.split()[1]), headers, text.decode(errors="replace"), time.monotonic() - begun)

    async def _chunks(self):
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readexactly(2)

    @property
    def is_open(self):
        return not self.writer.is_closing() and not self.reader.at_eof()

    def leave(self, way="close"):
        if way == "half-close":
            self.writer.write_eof()
        elif way == "reset":
            self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NEVER_READ)
            self.writer.transport.abort()
        else:
            self.writer.close()


class Load:
    """So many callers, each asking at its own pace until told to stop; `answers` and `failures` are what came of it."""

    def __init__(self, house, caller, many, rate, *headers, make=None):
        self.house, self.caller, self.many, self.pause = house, caller, many, many / rate
        self.headers, self.make = headers, make or (lambda number: body(f"{house.prompt} {number}"))
        self.answers, self.failures, self.stopped, self.asked = [], [], False, 0

    async def run(self):
        await asyncio.gather(*(self._one(nth) for nth in range(self.many)))

    async def _one(self, nth):
        await asyncio.sleep(self.pause * nth / self.many)
        connection = None
        while not self.stopped:
            begun = time.monotonic()
            self.asked += 1
            sent = request(self.house, self.caller, self.make(self.asked), *self.headers)
            try:
                if connection is None or not connection.is_open:
                    connection = await Connection.open(self.house.port)
                answer = await connection.ask(sent)
                self.house.hear(answer)
                self.answers.append((time.monotonic(), answer))
            except (OSError, asyncio.TimeoutError) as error:
                self.failures.append((time.monotonic(), error))
                connection = None
            await asyncio.sleep(max(0.001, begun + self.pause - time.monotonic()))
        if connection is not None:
            connection.leave()
