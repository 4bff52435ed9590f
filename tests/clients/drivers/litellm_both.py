"""LiteLLM's library for both providers."""

import litellm
from common import CLAUDE, EMBEDDING, GPT, MESSAGES, TOOL_PROMPT, WEATHER, city_of, main

TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": WEATHER}}]


def check_model(name, **to):
    whole = litellm.completion(messages=MESSAGES, max_tokens=60, **to)
    assert whole.choices[0].message.content and whole.usage.completion_tokens <= 60
    yield f"{name}, plain"

    chunks = list(litellm.completion(messages=MESSAGES, max_tokens=60, stream=True, **to))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == whole.choices[0].message.content, text
    yield f"{name}, streaming"

    asked = [{"role": "user", "content": TOOL_PROMPT}]
    message = litellm.completion(messages=asked, tools=TOOLS, **to).choices[0].message
    city_of(message.tool_calls[0].function.arguments)
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
    assert litellm.completion(messages=[*asked, message, result], tools=TOOLS, **to).choices[0].message.content
    yield f"{name}, tools"


def check(base_url):
    yield from check_model("anthropic", model=f"anthropic/{CLAUDE}", api_base=base_url)
    yield from check_model("openai", model=f"openai/{GPT}", api_base=f"{base_url}/v1")
    embedding = litellm.embedding(
        model=f"openai/{EMBEDDING}", input=["a", "b"], dimensions=8, api_base=f"{base_url}/v1"
    )
    assert [len(each["embedding"]) for each in embedding.data] == [8, 8]
    yield "openai embeddings"
    response = litellm.responses(model=f"openai/{GPT}", input="Hello.", api_base=f"{base_url}/v1")
    assert response.output[0].content[0].text
    yield "openai response"


main(check)
