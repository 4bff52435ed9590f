"""The Anthropic SDK as it comes, only its base URL set."""

import asyncio

import anthropic
from common import CITY, CLAUDE, MESSAGES, TOOL_PROMPT, WEATHER, main

TOOLS = [{"name": "weather", "input_schema": WEATHER}]


def check(base_url):
    client = anthropic.Anthropic(base_url=base_url)
    message = client.messages.create(model=CLAUDE, messages=MESSAGES, max_tokens=60)
    assert message.content[0].text and message.usage.output_tokens <= 60
    yield "plain"

    events = list(client.messages.create(model=CLAUDE, messages=MESSAGES, max_tokens=60, stream=True))
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text == message.content[0].text and events[-1].type == "message_stop"
    yield "streaming"

    with client.messages.stream(model=CLAUDE, messages=MESSAGES, max_tokens=60) as stream:
        assert "".join(stream.text_stream) == text
        assert stream.get_final_message().usage.output_tokens == message.usage.output_tokens
    yield "streaming, helper"

    asked = [{"role": "user", "content": TOOL_PROMPT}]
    called = client.messages.create(model=CLAUDE, messages=asked, max_tokens=99, tools=TOOLS)
    assert called.stop_reason == "tool_use" and called.content[0].input == {"city": CITY}, called
    result = {"type": "tool_result", "tool_use_id": called.content[0].id, "content": f"rain in {CITY}"}
    turns = [*asked, {"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    final = client.messages.create(model=CLAUDE, messages=turns, max_tokens=99, tools=TOOLS)
    assert final.content[0].type == "text", final
    yield "tools"

    forced = {"type": "any"}
    with client.messages.stream(
        model=CLAUDE, messages=asked, max_tokens=99, tools=TOOLS, tool_choice=forced
    ) as stream:
        assert stream.get_final_message().content[0].input == {"city": CITY}
    yield "tools, streamed"

    counted = client.messages.count_tokens(model=CLAUDE, messages=MESSAGES)
    assert counted.input_tokens == message.usage.input_tokens
    yield "token count"

    assert len(client.models.list().data) > 1
    yield "models"

    try:
        client.messages.create(model=CLAUDE, messages=[{"role": "user", "content": "x" * 1_000_000}], max_tokens=9)
        raise AssertionError("a prompt beyond the context was accepted")
    except anthropic.BadRequestError as error:
        assert "prompt is too long" in str(error), error
    yield "the provider's own error"


def check_async(base_url):
    async def both():
        async with anthropic.AsyncAnthropic(base_url=base_url) as client:
            whole = client.messages.create(model=CLAUDE, messages=MESSAGES, max_tokens=60)
            async with client.messages.stream(model=CLAUDE, messages=MESSAGES, max_tokens=60) as stream:
                text = await stream.get_final_text()
            assert text == (await whole).content[0].text

    asyncio.run(both())
    yield "async client"


main(check, check_async)
