"""Drives the official SDKs against a mock: every answer is validated strictly against their own types.

Usage: sdk_check.py BASE_URL        (the mock's address, without /v1)
"""

import sys

INSTALL = "python3 -m venv target/sdk-venv && target/sdk-venv/bin/pip install -r tests/sdk/requirements.txt"

try:
    import anthropic
    import openai
except ImportError as missing:
    sys.exit(f"error: {missing}; install the SDKs with: {INSTALL}")

BLOG = "Write a short blog post about riding in a paceline."
MESSAGES = [{"role": "user", "content": BLOG}]


def check_openai(base_url):
    client = openai.OpenAI(
        api_key="sk-check", base_url=f"{base_url}/v1", max_retries=0, _strict_response_validation=True
    )

    chat = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES, max_completion_tokens=60)
    assert chat.choices[0].message.content, chat
    assert chat.choices[0].finish_reason in ("stop", "length")
    assert chat.usage.completion_tokens <= 60 and chat._request_id.startswith("req_")
    yield "openai chat completion"

    stream = client.chat.completions.create(
        model="gpt-5-mini",
        messages=MESSAGES,
        max_completion_tokens=60,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text and chunks[-1].usage.completion_tokens <= 60
    yield "openai chat completion, streamed"

    with client.chat.completions.stream(model="gpt-5-mini", messages=MESSAGES) as events:
        final = [event.type for event in events]
        assert final and events.get_final_completion().choices[0].message.content
    yield "openai chat completion, stream helper"

    several = client.chat.completions.create(model="gpt-5-mini", messages=MESSAGES, n=3, max_tokens=9)
    assert [choice.index for choice in several.choices] == [0, 1, 2]
    yield "openai chat completion, three choices"

    response = client.responses.create(model="gpt-5-mini", input=BLOG, max_output_tokens=60)
    assert response.output_text and response.usage.output_tokens <= 60
    yield "openai response"

    events = list(client.responses.create(model="gpt-5-mini", input=BLOG, stream=True))
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events[-1]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    deltas = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert deltas == events[-1].response.output_text
    yield "openai response, streamed"

    with client.responses.stream(model="gpt-5-mini", input=BLOG) as stream:
        for _ in stream:
            pass
        assert stream.get_final_response().output_text
    yield "openai response, stream helper"

    assert client.responses.input_tokens.count(model="gpt-5-mini", input=BLOG).input_tokens > 5
    yield "openai token count"

    completion = client.completions.create(model="gpt-5-mini", prompt=BLOG, max_tokens=20)
    assert completion.choices[0].text
    # The API sends `finish_reason: null` before the end, which this SDK's own type does not allow: not strict here.
    lax = openai.OpenAI(api_key="sk-check", base_url=f"{base_url}/v1", max_retries=0)
    pieces = list(lax.completions.create(model="gpt-5-mini", prompt=BLOG, max_tokens=20, stream=True))
    assert "".join(piece.choices[0].text for piece in pieces) == completion.choices[0].text
    yield "openai completion, whole and streamed"

    floats = client.embeddings.create(
        model="text-embedding-3-small", input=["a", "b"], dimensions=8, encoding_format="float"
    )
    # Unless told otherwise the SDK asks for base64, decodes it itself, and would not pass its own strictness.
    decoded = lax.embeddings.create(model="text-embedding-3-small", input=["a", "b"], dimensions=8)
    for embeddings in (floats, decoded):
        assert len(embeddings.data) == 2 and len(embeddings.data[0].embedding) == 8
        assert isinstance(embeddings.data[0].embedding[0], float)
    yield "openai embeddings"

    moderation = client.moderations.create(input=["kind words", "more of them"])
    assert [result.flagged for result in moderation.results] == [False, False]
    yield "openai moderation"

    assert len(client.models.list().data) > 1
    yield "openai models"

    too_long = [{"role": "user", "content": "x" * 2_000_000}]
    try:
        client.chat.completions.create(model="gpt-5-mini", messages=too_long)
        raise AssertionError("a prompt beyond the context was accepted")
    except openai.BadRequestError as error:
        assert error.code == "context_length_exceeded", error
    yield "openai errors"


def check_anthropic(base_url):
    client = anthropic.Anthropic(
        api_key="sk-ant-check", base_url=base_url, max_retries=0, _strict_response_validation=True
    )

    message = client.messages.create(model="claude-sonnet-4-6", messages=MESSAGES, max_tokens=60)
    assert message.content[0].text and message.usage.output_tokens <= 60
    assert message.stop_reason in ("end_turn", "max_tokens") and message._request_id.startswith("req_")
    yield "anthropic message"

    events = list(
        client.messages.create(model="claude-sonnet-4-6", messages=MESSAGES, max_tokens=60, stream=True)
    )
    assert events[0].type == "message_start" and events[-1].type == "message_stop"
    text = "".join(event.delta.text for event in events if event.type == "content_block_delta")
    assert text == message.content[0].text, "the same request has the same answer"
    yield "anthropic message, streamed"

    with client.messages.stream(model="claude-sonnet-4-6", messages=MESSAGES, max_tokens=60) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == final.content[0].text and final.usage.output_tokens == message.usage.output_tokens
    yield "anthropic message, stream helper"

    counted = client.messages.count_tokens(model="claude-sonnet-4-6", messages=MESSAGES)
    assert counted.input_tokens == message.usage.input_tokens
    yield "anthropic token count"

    assert len(client.models.list().data) > 1
    yield "anthropic models"

    raw = client.messages.with_raw_response.create(model="claude-sonnet-4-6", messages=MESSAGES, max_tokens=9)
    assert raw.headers["anthropic-ratelimit-input-tokens-limit"], raw.headers
    yield "anthropic limit headers"

    too_long = [{"role": "user", "content": "x" * 1_000_000}]
    try:
        client.messages.create(model="claude-sonnet-4-6", messages=too_long, max_tokens=9)
        raise AssertionError("a prompt beyond the context was accepted")
    except anthropic.BadRequestError as error:
        assert "prompt is too long" in str(error), error
    yield "anthropic errors"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    base_url = sys.argv[1].rstrip("/")
    print(f"openai {openai.__version__}, anthropic {anthropic.__version__}")
    for check in (check_openai, check_anthropic):
        for done in check(base_url):
            print(f"ok  {done}")


if __name__ == "__main__":
    main()
