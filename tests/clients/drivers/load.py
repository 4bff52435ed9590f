"""Calls at a steady rate through one SDK without retries of its own, so that a caller would see every 429.

Usage: load.py BASE_URL openai|anthropic COUNT PER_SECOND
Prints a JSON line: how many calls went well, how many met a 429, and what else went wrong.
"""

import asyncio
import json
import sys
import time

from common import CLAUDE, GPT, PROMPT

TOKENS = 16


def openai_call(base_url):
    import openai

    client = openai.AsyncOpenAI(base_url=f"{base_url}/v1", max_retries=0)

    async def call(nth):
        asked = {"model": GPT, "messages": [{"role": "user", "content": f"{nth}. {PROMPT}"}]}
        if nth % 2:
            return (await client.chat.completions.create(**asked, max_completion_tokens=TOKENS)).choices
        stream = await client.chat.completions.create(**asked, max_completion_tokens=TOKENS, stream=True)
        return [chunk async for chunk in stream][-1].choices[0].finish_reason

    return call, openai.RateLimitError


def anthropic_call(base_url):
    import anthropic

    client = anthropic.AsyncAnthropic(base_url=base_url, max_retries=0)

    async def call(nth):
        asked = {"model": CLAUDE, "messages": [{"role": "user", "content": f"{nth}. {PROMPT}"}], "max_tokens": TOKENS}
        if nth % 2:
            return (await client.messages.create(**asked)).content
        async with client.messages.stream(**asked) as stream:
            return (await stream.get_final_message()).content

    return call, anthropic.RateLimitError


async def main():
    base_url, kind, count, rate = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    call, throttled = {"openai": openai_call, "anthropic": anthropic_call}[kind](base_url)
    told = {"good": 0, "throttled": 0, "other": []}
    start = time.monotonic()

    async def one(nth):
        await asyncio.sleep(start + nth / rate - time.monotonic())
        try:
            assert await call(nth), "an empty answer"
            told["good"] += 1
        except throttled:
            told["throttled"] += 1
        except Exception as error:  # Whatever else happens is told and counted as bad.
            told["other"].append(f"{type(error).__name__}: {error}"[:200])

    await asyncio.gather(*(one(nth) for nth in range(count)))
    print(json.dumps({**told, "seconds": round(time.monotonic() - start, 1)}))


asyncio.run(main())
