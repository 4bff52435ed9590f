"""An upstream that replays recorded streams and breaks them off where the prompt says.

A prompt names the break: `cut:ENDING:PLACE:MARK`. The first call with a prompt is broken, any further one is whole, so
that whoever may still ask again gets what was asked for; `cut:none:0:MARK` is never broken. Written on raw sockets,
because the place is a byte.
"""

import asyncio
import json
import os
import re

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recorded")
PATHS = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages"}
BREAK = re.compile(rb"cut:(\w+):(\d+):(\w+)")
# Ample limits, so that nobody waits for a turn.
LIMITS = {
    "messages": "".join(
        f"anthropic-ratelimit-{kind}-{what}\r\n"
        for kind in ("requests", "input-tokens", "output-tokens")
        for what in ("limit: 90000000", "remaining: 90000000", "reset: 2100-01-01T00:00:00Z")
    ),
    "chat": "".join(
        f"x-ratelimit-{what}-{kind}\r\n"
        for kind in ("requests: 90000000", "tokens: 90000000")
        for what in ("limit", "remaining")
    ),
}
LIMITS["responses"] = LIMITS["chat"]
ERRORS = {
    "messages": ("error", {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
    "chat": (None, {"error": {"message": "The server had an error.", "type": "server_error", "code": None}}),
    "responses": (
        "error",
        {"type": "error", "code": "server_error", "message": "The server had an error.", "param": None},
    ),
}

# How a stream can end too early:
#   closed    a body without a length, whose end is the end of the connection
#   torn      a body in chunks, whose last chunk never comes
#   finished  a body in chunks that ends properly, as a proxy between would make it
#   error     the provider's error event after PLACE events
ENDINGS = ("closed", "torn", "finished", "error")


def recorded(kind):
    with open(os.path.join(RECORDED, f"{kind}.sse"), "rb") as file:
        return file.read()


def events(kind):
    return [event + b"\n\n" for event in recorded(kind).split(b"\n\n") if event.strip()]


def places(kind, ending):
    """How many breaks there are: at every byte of all that is sent, or after every event but the last."""
    if ending == "error":
        return len(events(kind))
    if ending == "finished":
        return len(recorded(kind)) + 1
    return len(whole(kind, ending == "torn")) + 1


def error_event(kind):
    name, data = ERRORS[kind]
    return (f"event: {name}\n" if name else "").encode() + f"data: {json.dumps(data)}\n\n".encode()


def head(kind, chunked):
    framing = "transfer-encoding: chunked\r\n" if chunked else ""
    start = f"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n{framing}"
    return f"{start}{LIMITS[kind]}\r\n".encode()


def chunks(parts):
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts if part)


def whole(kind, chunked):
    """Everything that is sent, byte by byte."""
    if chunked:
        return head(kind, True) + chunks(events(kind)) + b"0\r\n\r\n"
    return head(kind, False) + recorded(kind)


def broken(kind, ending, place):
    if ending == "closed":
        return whole(kind, False)[:place]
    if ending == "torn":
        return whole(kind, True)[:place]
    if ending == "finished":
        return head(kind, True) + chunks([recorded(kind)[:place]]) + b"0\r\n\r\n"
    return head(kind, True) + chunks([*events(kind)[:place], error_event(kind)]) + b"0\r\n\r\n"


class Upstream:
    """Serves on a port of its own; `seen` counts the calls of each break."""

    def __init__(self):
        self.seen = {}
        self.server = None

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=512)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def stop(self):
        """Takes nobody in any more: whom the end of all cancels before it has begun is told as an error."""
        self.server.close()

    async def serve(self, reader, writer):
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            line, _, fields = request.partition(b"\r\n")
            length = re.search(rb"content-length: *(\d+)", fields, re.IGNORECASE)
            body = await reader.readexactly(int(length[1])) if length else b""
            writer.write(self.answer(line.split()[1].partition(b"?")[0].decode(), body))
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # It left; or all is over.
        finally:
            writer.close()

    def answer(self, path, body):
        kind, asked = PATHS.get(path), BREAK.search(body)
        if not kind or not asked:
            return b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        self.seen[asked[0]] = self.seen.get(asked[0], 0) + 1
        if self.seen[asked[0]] == 1 and asked[1] != b"none":
            return broken(kind, asked[1].decode(), int(asked[2]))
        return whole(kind, True)
