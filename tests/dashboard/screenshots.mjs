// Pictures of a gateway at work, for people who have not seen one: light, dark, narrow.
//
// What they show is a real gateway's standing after half a minute, with an hour of samples drawn before it, because nobody
// waits an hour for a picture, and with two batches beside it.

import fs from "node:fs";

import { sleep } from "./stage.mjs";
import { Stub, first, run } from "./stub.mjs";
import { traffic, world } from "./world.mjs";

const SHOTS = [
  ["dashboard-light.png", { width: 1280, height: 1240 }],
  ["dashboard-dark.png", { width: 1280, height: 1240, dark: true }],
  ["dashboard-narrow.png", { width: 360, height: 1240, deviceScaleFactor: 2 }],
];
const WARM = 30_000;
const SAMPLES = 360;

async function take({ stage, browser, check }) {
  const gateway = await world(stage);
  const stop = traffic(gateway);
  await sleep(WARM);
  const full = await first(gateway.admin, gateway.token);
  stop();
  const second = run(4_187, { input: "tickets.jsonl", output: "labels.jsonl", total: 900, done: 861, failed: 0, in_flight: 4, eta_seconds: 21, binds: "in_flight", cost_micro_usd: 310_000, projected_micro_usd: 324_000, budget_micro_usd: null });
  const stub = await Stub.start(gateway.admin);
  stub.begin({ ...full, history: hour(full), runs: [run(3_902), second] });
  fs.mkdirSync("docs", { recursive: true });
  for (const [name, options] of SHOTS) {
    await check(name, async () => {
      const page = await browser.page(stub.url, options);
      await page.waitForSelector("#requests tbody tr");
      await page.screenshot({ path: `docs/${name}` });
      if (process.env.FULL_PAGE) await page.screenshot({ path: `${process.env.FULL_PAGE}/${name}`, fullPage: true });
      await page.context().close();
    });
  }
  stub.end();
}

export { take as run };

/** An hour that ends with what is: two batches that fill the quota, people in between, refusals where one began too fast. */
function hour({ at_ms: now, status, history }) {
  const at_ms = Array.from({ length: SAMPLES }, (_, at) => now - (SAMPLES - 1 - at) * 10_000);
  const meters = status.limiters.map((limiter) => {
    const known = history.meters.find((meter) => meter.account === limiter.account && meter.models === limiter.models);
    const busy = limiter.limits.some((limit) => limit.used > 0.3 * limit.limit);
    const throttled = at_ms.map((_, at) => (busy && (at === 62 || at === 65 || at === 214) ? 2 : 0));
    throttled.splice(SAMPLES - 2, 2, ...(known?.throttled ?? []).slice(-2));
    const limits = limiter.limits.map((limit) => {
      const most = limit.used / limit.limit > 0.3 ? 0.96 * limit.limit : 1.25 * limit.used;
      const used = at_ms.map((_, at) => Math.round(most * wave(at)));
      used[SAMPLES - 1] = limit.used;
      return { dimension: limit.dimension, window: limit.window, used, limit: at_ms.map(() => limit.limit) };
    });
    return { account: limiter.account, models: limiter.models, throttled, limits };
  });
  return { at_ms, meters };
}

function wave(at) {
  const batch = (from, to) => 1 / (1 + Math.exp((from - at) / 4)) / (1 + Math.exp((at - to) / 3));
  const people = 0.13 + 0.05 * Math.sin(at / 9) + 0.03 * Math.sin(at / 2.3);
  return Math.min(1, people + 0.86 * (batch(58, 150) + batch(208, 400)));
}
