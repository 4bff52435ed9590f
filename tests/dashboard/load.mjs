// What open dashboards cost those who wait for answers: 100 streams, with 20 dashboards and without, turn about.
//
// Measured is the gateway's own delay: of a list of models, which it makes itself, while the streams flow. Turns alternate, so
// that whatever else the machine does meets both alike. A dashboard is what the gateway sees of one, its stream: browsers would
// run beside the gateway here, and take its processors away, which they do not where people have theirs.

import assert from "node:assert/strict";
import http from "node:http";

import { KEY, sleep } from "./stage.mjs";

const STREAMS = 100;
const TABS = 20;
const TURNS = Number(process.env.TURNS ?? 6);
const TURN = 4_000;
const PAUSE = 10;
// Noise: how much the two sides differ when nothing does. Found from the halves of the side without dashboards.
const LEAST_NOISE = 1; // ms

export async function run({ stage, check }) {
  const mock = await stage.mock("mock", "--profile", "unlimited");
  stage.write("key", KEY);
  const gateway = await stage.gateway("loaded", {
    rest: `[[upstream]]\nname = "mock"\nprovider = "anthropic"\nbase_url = "${mock}"\napi_key = { file = "key" }\n`,
  });
  const agent = new http.Agent({ keepAlive: true });
  let goes = true;
  const streams = Array.from({ length: STREAMS }, async () => {
    while (goes) await exchange(gateway.url, agent, { stream: true, max_tokens: 4000 }).catch(() => sleep(100));
  });
  await sleep(2_000);
  const delays = { without: [], with: [] };
  for (let turn = 0; turn < TURNS; turn += 1) {
    await measure(gateway.url, agent, delays.without);
    const opened = await Promise.all(Array.from({ length: TABS }, () => dashboard(gateway.admin)));
    await measure(gateway.url, agent, delays.with);
    await check(`dashboards are told of turn ${turn + 1}`, () => assert.ok(opened.every(({ told }) => told() > 2_000)));
    for (const { asked } of opened) asked.destroy();
  }
  goes = false;
  await Promise.all(streams);
  agent.destroy();
  await check(`${STREAMS} streams, ${TABS} dashboards: the p99 of the gateway is what it was`, () => {
    const [alone, watched] = [summary(delays.without), summary(delays.with)];
    const halves = [delays.without.filter((_, at) => at % 2), delays.without.filter((_, at) => at % 2 === 0)].map(summary);
    const noise = Math.max(LEAST_NOISE, Math.abs(halves[0].p99 - halves[1].p99), alone.p99 * 0.25);
    const told = `p50 ${alone.p50} -> ${watched.p50} ms, p99 ${alone.p99} -> ${watched.p99} ms (noise ${noise.toFixed(2)} ms; ${delays.without.length} and ${delays.with.length} requests)`;
    assert.ok(watched.p99 <= alone.p99 + noise, told);
    return told;
  });
}

/** What a dashboard asks for, and how many bytes it was told. */
function dashboard(admin) {
  return new Promise((resolve, reject) => {
    let told = 0;
    const asked = http.get(`${admin}/v1/live`, (answer) => {
      answer.on("data", (piece) => { told += piece.length; });
      answer.on("error", () => {});
      resolve({ asked, told: () => told });
    });
    asked.on("error", reject);
  });
}

async function measure(url, agent, delays) {
  const end = Date.now() + TURN;
  while (Date.now() < end) {
    const begun = process.hrtime.bigint();
    const status = await exchange(url, agent, null);
    assert.equal(status, 200);
    delays.push(Number(process.hrtime.bigint() - begun) / 1e6);
    await sleep(PAUSE);
  }
}

/** A message; or, without one, the list of models, which the gateway answers without anybody upstream. */
function exchange(url, agent, message) {
  const headers = { "x-api-key": KEY, "anthropic-version": "2023-06-01", "content-type": "application/json" };
  const options = message ? { method: "POST", headers, agent } : { headers, agent };
  return new Promise((resolve, reject) => {
    const asked = http.request(`${url}${message ? "/v1/messages" : "/v1/models"}`, options, (answer) => {
      answer.on("data", () => {});
      answer.on("end", () => resolve(answer.statusCode));
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(message ? JSON.stringify({ model: "claude-haiku-4-5", messages: [{ role: "user", content: "Hello" }], ...message }) : undefined);
  });
}

function summary(delays) {
  const sorted = [...delays].sort((one, other) => one - other);
  const at = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))].toFixed(2));
  return { p50: at(0.5), p99: at(0.99) };
}
