"""Reads broken streams with the official SDKs, and tells those whose end it could not notice.

Usage: read.py BASE_URLS chat|responses|messages PREFIX EXPECTED_TEXT < breaks     (a line `ENDING PLACE` for each)

Base URLs are separated by commas; the readers are spread over them. With several, each break follows a whole stream.
Prints JSON: how many were whole, how many raised an error, and which ended in silence or never.
"""

import asyncio
import json
import sys

import anthropic
import openai

CONCURRENCY = 16
ENDS_WITHIN = 60
# A stream is read to its end only if this is what was read: the text, and the terminal event.


def openai_reader(base_url, kind):
    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", max_retries=0)

    async def read_chat(prompt):
        usage = {"include_usage": True}
        asked = {"model": "gpt-5-mini", "messages": [{"role": "user", "content": prompt}], "stream_options": usage}
        text, ended, used = "", False, False
        async for chunk in await client.chat.completions.create(**asked, stream=True):
            used = used or bool(chunk.usage)
            for choice in chunk.choices:
                text += choice.delta.content or ""
                ended = ended or bool(choice.finish_reason)
        return text, ended and used

    async def read_response(prompt):
        text, ended = "", False
        async for event in await client.responses.create(model="gpt-5-mini", input=prompt, stream=True):
            if event.type == "response.output_text.delta":
                text += event.delta
            if event.type == "error":
                raise RuntimeError(event.message)
            ended = ended or event.type in ("response.completed", "response.incomplete")
        return text, ended

    return read_chat if kind == "chat" else read_response


def anthropic_reader(base_url):
    client = anthropic.AsyncAnthropic(base_url=base_url, max_retries=0)

    async def read(prompt):
        asked = {"model": "claude-sonnet-4-6", "max_tokens": 99, "messages": [{"role": "user", "content": prompt}]}
        text, ended = "", False
        async for event in await client.messages.create(**asked, stream=True):
            if event.type == "content_block_delta":
                text += event.delta.text
            ended = ended or event.type == "message_stop"
        return text, ended

    return read


async def main():
    base_urls, kind, prefix, expected = sys.argv[1].split(","), *sys.argv[2:5]
    readers = [anthropic_reader(url) if kind == "messages" else openai_reader(url, kind) for url in base_urls]
    told = {"whole": 0, "raised": 0, "silent": [], "hung": [], "wrong": []}
    breaks = iter(sys.stdin.read().splitlines())

    async def one(line, read):
        ending, place = line.split()
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                text, ended = await read(f"cut:{ending}:{place}:{prefix}")
        except TimeoutError:
            told["hung"].append(line)
        except Exception:  # Whatever it is: the caller has noticed.
            told["raised"] += 1
        else:
            kind = "silent" if not ended else "wrong" if text != expected else None
            if kind:
                told[kind].append(line)
            else:
                told["whole"] += 1

    async def worker(read):
        for line in breaks:
            if 1 < len(readers) and await read(f"cut:none:0:{prefix}") != (expected, True):
                raise AssertionError("a stream that nobody broke is not whole")
            await one(line, read)

    await asyncio.gather(*(worker(readers[nth % len(readers)]) for nth in range(CONCURRENCY)))
    print(json.dumps(told))


asyncio.run(main())
