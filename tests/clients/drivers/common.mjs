// What all drivers ask for and expect.
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const prompt = "Write a short blog post about riding in a paceline.";
const city = "Zürich";
const shared = {
  prompt,
  city,
  messages: [{ role: "user", content: prompt }],
  // The mock calls a tool that the prompt spells out, and answers by text once the tool has answered.
  toolPrompt: `Call weather({"city": "${city}"}), please.`,
  weather: {
    type: "object",
    properties: { city: { type: "string" } },
    required: ["city"],
    additionalProperties: false,
  },
};

export const ask = {
  openai: { model: "gpt-5-mini", ...shared },
  anthropic: { model: "claude-sonnet-4-6", ...shared },
};

/** The SDK named in the arguments, from the folder named there. */
export async function load() {
  const [base, folder, name] = process.argv.slice(2);
  const found = createRequire(`${folder}/package.json`).resolve(name);
  return { base, sdk: await import(pathToFileURL(found)) };
}

export const done = what => console.log(`ok  ${what}`);
