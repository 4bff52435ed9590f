"""Calls the mock through the official SDKs, which check every answer against their own types."""

import sys

import anthropic
import openai

url = sys.argv[1]
messages = [{"role": "user", "content": "Write a line about bread."}]

claude = anthropic.Anthropic(base_url=url, api_key="any", max_retries=0)
answer = claude.messages.create(model="claude-haiku-4-5", max_tokens=40, messages=messages)
assert answer.content[0].text and 0 < answer.usage.output_tokens <= 40, answer
with claude.messages.stream(model="claude-haiku-4-5", max_tokens=40, messages=messages) as stream:
    text = "".join(stream.text_stream)
    final = stream.get_final_message()
assert text == final.content[0].text and final.stop_reason, final
assert claude.messages.count_tokens(model="claude-haiku-4-5", messages=messages).input_tokens > 0
print(f"anthropic {anthropic.__version__}: plain, streaming, counting")

gpt = openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0)
answer = gpt.chat.completions.create(model="gpt-4o-mini", max_tokens=40, messages=messages)
assert answer.choices[0].message.content and answer.usage.completion_tokens <= 40, answer
options = {"include_usage": True}
chunks = list(gpt.chat.completions.create(model="gpt-4o-mini", messages=messages, stream=True, stream_options=options))
assert any(chunk.choices and chunk.choices[0].finish_reason for chunk in chunks), chunks
assert chunks[-1].usage.completion_tokens > 0, chunks[-1]
answer = gpt.responses.create(model="gpt-4o-mini", input="Write a line about bread.", max_output_tokens=40)
assert answer.output_text, answer
events = [event.type for event in gpt.responses.create(model="gpt-4o-mini", input="Bread.", stream=True)]
assert events[-1] in ("response.completed", "response.incomplete"), events
vectors = gpt.embeddings.create(model="text-embedding-3-small", input=["bread", "butter"])
assert len(vectors.data) == 2, vectors
print(f"openai {openai.__version__}: chat, responses, embeddings, plain and streaming")
