// As read.py, with the SDKs of npm.
// Usage: node read.mjs BASE_URLS chat|responses|messages PREFIX EXPECTED_TEXT FOLDER < breaks
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const CONCURRENCY = 16;
const ENDS_WITHIN = 60_000;
const [bases, kind, prefix, expected, folder] = process.argv.slice(2);
const find = createRequire(`${folder}/package.json`);
const sdk = async name => (await import(pathToFileURL(find.resolve(name)))).default;

async function reader(base) {
  if (kind === "messages") {
    const client = new (await sdk("@anthropic-ai/sdk"))({ baseURL: base, maxRetries: 0 });
    const asked = { model: "claude-sonnet-4-6", max_tokens: 99, stream: true };
    return async prompt => {
      let text = "", ended = false;
      for await (const event of await client.messages.create({ ...asked, messages: [{ role: "user", content: prompt }] })) {
        if (event.type === "content_block_delta") text += event.delta.text;
        ended ||= event.type === "message_stop";
      }
      return [text, ended];
    };
  }
  const client = new (await sdk("openai"))({ baseURL: `${base}/v1`, maxRetries: 0 });
  if (kind === "chat") {
    const asked = { model: "gpt-5-mini", stream: true, stream_options: { include_usage: true } };
    return async prompt => {
      let text = "", ended = false, used = false;
      const messages = [{ role: "user", content: prompt }];
      for await (const chunk of await client.chat.completions.create({ ...asked, messages })) {
        used ||= Boolean(chunk.usage);
        for (const choice of chunk.choices) {
          text += choice.delta.content ?? "";
          ended ||= Boolean(choice.finish_reason);
        }
      }
      return [text, ended && used];
    };
  }
  return async prompt => {
    let text = "", ended = false;
    for await (const event of await client.responses.create({ model: "gpt-5-mini", input: prompt, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      if (event.type === "error") throw new Error(event.message);
      ended ||= event.type === "response.completed" || event.type === "response.incomplete";
    }
    return [text, ended];
  };
}

const told = { whole: 0, raised: 0, silent: [], hung: [], wrong: [] };
const breaks = readFileSync(0, "utf8").split("\n").filter(Boolean)[Symbol.iterator]();
const readers = await Promise.all(bases.split(",").map(reader));

async function one(line, read) {
  const [ending, place] = line.split(" ");
  let timer;
  const late = new Promise(resolve => { timer = setTimeout(resolve, ENDS_WITHIN, "late"); });
  try {
    const result = await Promise.race([read(`cut:${ending}:${place}:${prefix}`), late]);
    if (result === "late") told.hung.push(line);
    else if (!result[1]) told.silent.push(line);
    else if (result[0] !== expected) told.wrong.push(line);
    else told.whole += 1;
  } catch {
    told.raised += 1; // Whatever it is: the caller has noticed.
  } finally {
    clearTimeout(timer);
  }
}

await Promise.all(Array.from({ length: CONCURRENCY }, async (_, nth) => {
  const read = readers[nth % readers.length];
  for (const line of breaks) {
    if (readers.length > 1) {
      const [text, ended] = await read(`cut:none:0:${prefix}`);
      if (!ended || text !== expected) throw new Error("a stream that nobody broke is not whole");
    }
    await one(line, read);
  }
}));
console.log(JSON.stringify(told));
process.exit(0); // Nothing that still hangs is waited for.
