// As load.py: calls at a steady rate through one SDK without retries of its own.
// Usage: node load.mjs BASE_URL FOLDER PACKAGE COUNT PER_SECOND
import { ask, load } from "./common.mjs";

const { base, sdk: { default: Sdk } } = await load();
const [count, rate] = process.argv.slice(5).map(Number);
const anthropic = process.argv[4].includes("anthropic");
const client = anthropic
  ? new Sdk({ baseURL: base, maxRetries: 0 })
  : new Sdk({ baseURL: `${base}/v1`, maxRetries: 0 });
const { model, prompt } = anthropic ? ask.anthropic : ask.openai;

async function call(nth) {
  const messages = [{ role: "user", content: `${nth}. ${prompt}` }];
  if (anthropic) {
    const asked = { model, messages, max_tokens: 16 };
    return nth % 2 ? (await client.messages.create(asked)).content : client.messages.stream(asked).finalMessage();
  }
  const asked = { model, messages, max_completion_tokens: 16 };
  if (nth % 2) return (await client.chat.completions.create(asked)).choices;
  let last;
  for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) last = chunk;
  return last.choices[0].finish_reason;
}

const told = { good: 0, throttled: 0, other: [] };
const start = performance.now();
await Promise.all(Array.from({ length: count }, async (_, nth) => {
  await new Promise(resolve => setTimeout(resolve, start + (nth / rate) * 1000 - performance.now()));
  try {
    if (!(await call(nth))) throw new Error("an empty answer");
    told.good += 1;
  } catch (error) {
    if (error.status === 429) told.throttled += 1;
    else told.other.push(`${error.name}: ${error.message}`.slice(0, 200));
  }
}));
console.log(JSON.stringify({ ...told, seconds: Math.round((performance.now() - start) / 100) / 10 }));
