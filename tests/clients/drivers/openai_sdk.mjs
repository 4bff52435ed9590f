// The OpenAI SDK of npm as it comes, only its base URL set.
// Usage: node openai_sdk.mjs BASE_URL FOLDER PACKAGE
import assert from "node:assert/strict";
import { ask, done, load } from "./common.mjs";

const { base, sdk: { default: OpenAI } } = await load();
const client = new OpenAI({ baseURL: `${base}/v1` });
const { model, messages, prompt, toolPrompt, weather, city } = ask.openai;

const chat = await client.chat.completions.create({ model, messages, max_completion_tokens: 60 });
assert(chat.choices[0].message.content && chat.usage.completion_tokens <= 60);
done("plain");

let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages, max_completion_tokens: 60, stream: true })) {
  text += chunk.choices[0].delta.content ?? ""; // Fails on a usage chunk, which nobody asked for.
}
assert.equal(text, chat.choices[0].message.content);
done("streaming");

const tools = [{ type: "function", function: { name: "weather", parameters: weather } }];
const asked = [{ role: "user", content: toolPrompt }];
const { message } = (await client.chat.completions.create({ model, messages: asked, tools })).choices[0];
assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city });
const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "rain" };
const final = await client.chat.completions.create({ model, messages: [...asked, message, result], tools });
assert(final.choices[0].message.content);
const streamed = client.chat.completions.stream({ model, messages: asked, tools, tool_choice: "required" });
const called = (await streamed.finalChatCompletion()).choices[0].message.tool_calls[0];
assert.deepEqual(JSON.parse(called.function.arguments), { city });
done("tools, plain and streamed");

const response = await client.responses.create({ model, input: prompt, max_output_tokens: 60 });
assert(response.output_text);
let last;
for await (const event of await client.responses.create({ model, input: prompt, max_output_tokens: 60, stream: true })) {
  last = event;
}
assert.equal(last.response.output[0].content[0].text, response.output_text);
done("responses, plain and streaming");

const embeddings = await client.embeddings.create({ model: "text-embedding-3-small", input: ["a", "b"], dimensions: 8 });
assert.deepEqual(embeddings.data.map(each => each.embedding.length), [8, 8]);
assert((await client.models.list()).data.length > 1);
done("embeddings, models");

const long = [{ role: "user", content: "x".repeat(2_000_000) }];
await assert.rejects(client.chat.completions.create({ model, messages: long }), { code: "context_length_exceeded" });
done("the provider's own error");
