"""The OpenAI SDK as it comes, only its base URL set."""

import asyncio

import openai
from common import CITY, EMBEDDING, GPT, MESSAGES, PROMPT, TOOL_PROMPT, WEATHER, city_of, main

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]
FLAT_TOOLS = [{"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}]


def check_chat(base_url):
    client = openai.OpenAI(base_url=f"{base_url}/v1")
    chat = client.chat.completions.create(model=GPT, messages=MESSAGES, max_completion_tokens=60)
    assert chat.choices[0].message.content and 0 < chat.usage.completion_tokens <= 60, chat
    yield "plain"

    chunks = list(client.chat.completions.create(model=GPT, messages=MESSAGES, max_completion_tokens=60, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == chat.choices[0].message.content, "the same request has the same answer"
    assert chunks[-1].choices[0].finish_reason, "the usage is for those who asked"
    yield "streaming"

    usage = {"include_usage": True}
    chunks = list(client.chat.completions.create(model=GPT, messages=MESSAGES, stream=True, stream_options=usage))
    assert chunks[-1].usage.completion_tokens and not chunks[-1].choices
    yield "streaming with usage"

    asked = [{"role": "user", "content": TOOL_PROMPT}]
    message = client.chat.completions.create(model=GPT, messages=asked, tools=TOOLS).choices[0].message
    city_of(message.tool_calls[0].function.arguments)
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": f"rain in {CITY}"}
    final = client.chat.completions.create(model=GPT, messages=[*asked, message, result], tools=TOOLS)
    assert final.choices[0].message.content and final.choices[0].finish_reason == "stop"
    yield "tools"

    with client.chat.completions.stream(model=GPT, messages=asked, tools=TOOLS, tool_choice="required") as events:
        events.until_done()
        city_of(events.get_final_completion().choices[0].message.tool_calls[0].function.arguments)
    yield "tools, streamed"


def check_responses(base_url):
    client = openai.OpenAI(base_url=f"{base_url}/v1")
    response = client.responses.create(model=GPT, input=PROMPT, max_output_tokens=60)
    assert response.output_text
    events = list(client.responses.create(model=GPT, input=PROMPT, max_output_tokens=60, stream=True))
    assert events[-1].response.output_text == response.output_text
    yield "responses, plain and streaming"

    with client.responses.stream(model=GPT, input=TOOL_PROMPT, tools=FLAT_TOOLS) as stream:
        stream.until_done()
        call = stream.get_final_response().output[0]
    city_of(call.arguments)
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    said = {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments}
    asked = [{"role": "user", "content": TOOL_PROMPT}, said, result]
    assert client.responses.create(model=GPT, input=asked, tools=FLAT_TOOLS).output_text
    yield "responses, tools"

    if hasattr(client.responses, "input_tokens"):
        assert client.responses.input_tokens.count(model=GPT, input=PROMPT).input_tokens
        yield "token count"


def check_others(base_url):
    client = openai.OpenAI(base_url=f"{base_url}/v1")
    embeddings = client.embeddings.create(model=EMBEDDING, input=["a", "b"], dimensions=8).data
    assert [len(embedding.embedding) for embedding in embeddings] == [8, 8]
    assert len(client.models.list().data) > 1
    assert client.moderations.create(input="kind words").results
    assert client.completions.create(model=GPT, prompt=PROMPT, max_tokens=20).choices[0].text
    yield "embeddings, models, moderation, completion"

    try:
        client.chat.completions.create(model=GPT, messages=[{"role": "user", "content": "x" * 2_000_000}])
        raise AssertionError("a prompt beyond the context was accepted")
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded", error
    yield "the provider's own error"


def check_async(base_url):
    async def both():
        async with openai.AsyncOpenAI(base_url=f"{base_url}/v1") as client:
            one = client.chat.completions.create(model=GPT, messages=MESSAGES, max_completion_tokens=60)
            stream = client.chat.completions.create(
                model=GPT, messages=MESSAGES, max_completion_tokens=60, stream=True
            )
            whole, stream = await asyncio.gather(one, stream)
            pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
            assert "".join(pieces) == whole.choices[0].message.content

    asyncio.run(both())
    yield "async client"


main(check_chat, check_responses, check_others, check_async)
