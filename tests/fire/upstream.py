"""An upstream that does what the prompt says up to a point, and then notes when its peer leaves.

A prompt says `stage:KIND mark:N`. The kinds: `whole` is answered; `silent` never; `flowing` gets the beginning of a stream;
`told` gets all events of one, and not the end of its body; `slowly` and `long` get a whole stream in half a
second, or in three. A GET is answered with a long list of models.
"""

import asyncio
import contextlib
import re
import time

import callers

ASKED = re.compile(rb"stage:(\w+) mark:(\d+)")
LIMITS = "".join(f"x-ratelimit-{what}-{of}: 90000000\r\n" for of in ("requests", "tokens") for what in ("limit", "remaining"))
HEAD = f"HTTP/1.1 200 OK\r\n{LIMITS}connection: close\r\n"
STREAM = f"{HEAD}content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
MODELS = b'{"object":"list","data":[%s]}' % b",".join(
    b'{"id":"model-%d","object":"model","created":1,"owned_by":"somebody"}' % number for number in range(1_000)
)
LENGTHS = {"slowly": 8, "long": 50}  # Events of whole streams, ...
BETWEEN = 0.06  # ... and the seconds between them.
WHOLE = b'{"id":"1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant",' \
    b'"content":"yes"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}}'
FIRST = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"ye"}}]}\n\n'
REST = b'data: {"id":"1","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{"content":"s"},' \
    b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


class Call:
    """One call, from its arrival until its peer has left."""

    def __init__(self):
        self.times, self.arrived, self.left = 0, asyncio.Event(), asyncio.get_running_loop().create_future()


class Upstream:
    """Serves on a port of its own."""

    def __init__(self):
        self.calls, self.came = {}, []  # By mark; when which head came.

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def call(self, mark):
        return self.calls.setdefault(mark, Call())

    async def serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET "):
                writer.write(f"{HEAD}content-type: application/json\r\ncontent-length: {len(MODELS)}\r\n\r\n".encode() + MODELS)
                return
            length = re.search(rb"content-length: *(\d+)", head, re.IGNORECASE)
            asked = ASKED.search(await reader.readexactly(int(length[1])))
            self.came.append((time.monotonic(), head.decode()))
            call = self.call(int(asked[2]))
            call.times += 1
            call.arrived.set()
            await self.answer(asked[1].decode(), writer)
            with contextlib.suppress(ConnectionError):
                await reader.read()  # Nothing more is sent: this returns when the peer leaves.
            if not call.left.done():
                call.left.set_result(time.monotonic())
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # It left before it had asked, so that nothing has begun; or all is over.
        finally:
            writer.close()

    async def answer(self, kind, writer):
        if kind == "whole":
            writer.write(f"{HEAD}content-type: application/json\r\ncontent-length: {len(WHOLE)}\r\n\r\n".encode() + WHOLE)
            writer.close()
        elif kind in LENGTHS:
            writer.write(STREAM.encode())
            for event in [*[FIRST] * LENGTHS[kind], REST]:
                if writer.is_closing():
                    return
                writer.write(b"%x\r\n%s\r\n" % (len(event), event))
                await asyncio.sleep(BETWEEN)
            writer.write(b"0\r\n\r\n")
            writer.close()
        elif kind in ("flowing", "told"):
            events = FIRST if kind == "flowing" else FIRST + REST
            writer.write(STREAM.encode() + b"%x\r\n%s\r\n" % (len(events), events))


def prompt(house, kind, mark, model="free", stream=False):
    """The body that asks for this."""
    return callers.body(f"{house.prompt} stage:{kind} mark:{mark}", model=model, stream=stream)
