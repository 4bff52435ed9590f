// The Anthropic SDK of npm as it comes, only its base URL set.
// Usage: node anthropic_sdk.mjs BASE_URL FOLDER PACKAGE
import assert from "node:assert/strict";
import { ask, done, load } from "./common.mjs";

const { base, sdk: { default: Anthropic } } = await load();
const client = new Anthropic({ baseURL: base });
const { model, messages, toolPrompt, weather, city } = ask.anthropic;

const message = await client.messages.create({ model, messages, max_tokens: 60 });
assert(message.content[0].text && message.usage.output_tokens <= 60);
done("plain");

let text = "", last;
for await (const event of await client.messages.create({ model, messages, max_tokens: 60, stream: true })) {
  if (event.type === "content_block_delta") text += event.delta.text;
  last = event.type;
}
assert.deepEqual([text, last], [message.content[0].text, "message_stop"]);
const helped = await client.messages.stream({ model, messages, max_tokens: 60 }).finalMessage();
assert.equal(helped.content[0].text, text);
done("streaming");

const tools = [{ name: "weather", input_schema: weather }];
const asked = [{ role: "user", content: toolPrompt }];
const called = await client.messages.create({ model, messages: asked, max_tokens: 99, tools });
assert.deepEqual([called.stop_reason, called.content[0].input], ["tool_use", { city }]);
const result = { type: "tool_result", tool_use_id: called.content[0].id, content: "rain" };
const turns = [...asked, { role: "assistant", content: called.content }, { role: "user", content: [result] }];
const final = await client.messages.create({ model, messages: turns, max_tokens: 99, tools });
assert.equal(final.content[0].type, "text");
const streamed = client.messages.stream({ model, messages: asked, max_tokens: 99, tools, tool_choice: { type: "any" } });
assert.deepEqual((await streamed.finalMessage()).content[0].input, { city });
done("tools, plain and streamed");

assert.equal((await client.messages.countTokens({ model, messages })).input_tokens, message.usage.input_tokens);
done("token count");
assert((await client.models.list()).data.length > 1);
done("models");

const long = [{ role: "user", content: "x".repeat(1_000_000) }];
await assert.rejects(client.messages.create({ model, messages: long, max_tokens: 9 }), /prompt is too long/);
done("the provider's own error");
