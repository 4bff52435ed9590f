"""LangChain's chat models and embeddings for both providers."""

from common import CITY, CLAUDE, EMBEDDING, GPT, PROMPT, TOOL_PROMPT, main
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def weather(city: str) -> str:
    """The weather of a city."""
    return f"rain in {city}"


def check_model(name, model):
    assert model.invoke(PROMPT).text
    yield f"{name}, plain"

    chunks = list(model.stream(PROMPT))
    assert 1 < len(chunks) and "".join(str(chunk.text) for chunk in chunks)
    yield f"{name}, streaming"

    able = model.bind_tools([weather])
    called = able.invoke(TOOL_PROMPT)
    assert called.tool_calls[0]["args"] == {"city": CITY}, called
    result = weather.invoke(called.tool_calls[0])
    assert able.invoke([("user", TOOL_PROMPT), called, result]).text
    yield f"{name}, tools"

    schema = {
        "title": "place",
        "description": "A place.",
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    }
    place = model.with_structured_output(schema, method="function_calling").invoke(PROMPT)
    assert isinstance(place["city"], str), place
    yield f"{name}, structured output"


def check(base_url):
    yield from check_model("anthropic", ChatAnthropic(model=CLAUDE, base_url=base_url, max_tokens=200))
    yield from check_model("openai", ChatOpenAI(model=GPT, base_url=f"{base_url}/v1"))
    yield from check_model("openai responses", ChatOpenAI(model=GPT, base_url=f"{base_url}/v1", use_responses_api=True))
    # Tokens are counted here by a table that would have to be fetched; the provider counts them as well.
    embeddings = OpenAIEmbeddings(
        model=EMBEDDING, base_url=f"{base_url}/v1", dimensions=8, check_embedding_ctx_length=False
    )
    assert [len(vector) for vector in embeddings.embed_documents(["a", "b"])] == [8, 8]
    yield "openai embeddings"
    counted = ChatAnthropic(model=CLAUDE, base_url=base_url).get_num_tokens_from_messages([HumanMessage(PROMPT)])
    assert counted
    yield "anthropic token count"


main(check)
