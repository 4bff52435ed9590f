// What no gateway says, said by a stub: hostile text in every field, and two hours of messages.

import assert from "node:assert/strict";

import { clean } from "./browser.mjs";
import { poisoned } from "./hostile.mjs";
import { TOKEN, ask, until } from "./stage.mjs";
import { Stub, first, run } from "./stub.mjs";

export async function stubbed(check, browser, gateway, strings, messages) {
  const names = ['<img src=x onerror=window.executed=1>', '"><svg onload=window.executed=1>'];
  await check("names that callers choose do nothing on their way through the gateway", async () => {
    for (const model of names) await ask(gateway.url, gateway.desk, { model });
    const page = await browser.page(gateway.admin, { token: TOKEN });
    await until("they are listed", async () => (await page.locator("#requests").innerText()).includes(names[0]));
    assert.equal(await page.evaluate(() => window.executed), undefined);
    assert.deepEqual(await clean(page), []);
    await page.context().close();
  });
  const full = { ...await first(gateway.admin, TOKEN), runs: [run(7), run(8, { binds: null, eta_seconds: null, budget_micro_usd: null, output: "" })] };
  const stub = await Stub.start(gateway.admin);
  await check(`hostile text in every field: ${strings.length} strings`, async () => {
    stub.begin(full);
    const page = await browser.page(stub.url);
    await page.waitForSelector("#requests tbody tr");
    const parts = await page.evaluate(() => document.querySelectorAll("script, iframe, object, embed, base").length);
    for (const text of strings) {
      const said = poisoned({ ...full, lines: full.lines.slice(-20) }, text);
      await stub.say("full", said);
      await until("it is shown", async () => (await page.locator("#quotas h3").first().textContent()) === text);
      assert.equal(await page.evaluate(() => window.executed), undefined, text);
      assert.equal(await page.evaluate(() => document.querySelectorAll("script, iframe, object, embed, base").length), parts, text);
    }
    const strange = await page.evaluate(() => [...document.querySelectorAll("#panels *")].filter((node) => [...node.attributes].some((of) => /^on/i.test(of.name)) || node.matches("img, video, marquee, math, a")).length);
    assert.equal(strange, 0);
    assert.deepEqual(await clean(page), []);
    await page.context().close();
  });
  await check(`memory is flat over ${messages} messages`, () => flat(browser, stub, full, messages));
  stub.end();
}

async function flat(browser, stub, full, messages) {
  stub.begin(full);
  const page = await browser.page(stub.url);
  await page.waitForSelector("#requests tbody tr");
  const session = await page.context().newCDPSession(page);
  const heap = async () => {
    for (let turn = 0; turn < 3; turn += 1) await session.send("HeapProfiler.collectGarbage");
    const { usedSize } = await session.send("Runtime.getHeapUsage");
    const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
    return { size: usedSize, nodes };
  };
  const model = full.lines.at(-1);
  let [early, late] = [null, null];
  for (let at = 0; at < messages; at += 1) {
    const lines = Array.from({ length: 3 }, (_, index) => ({ ...model, id: `line-${at}-${index}`, ended_ms: full.at_ms + at * 1_000 }));
    const status = { ...full.status, sent: full.status.sent + at, up_seconds: at, in_flight: at % 40 };
    await stub.say("tick", { at_ms: full.at_ms + at * 1_000, status, sampled: at % 10 === 0, lines, untold: 0, runs: full.runs });
    if (at % 200 === 199) await until("it keeps up", async () => (await page.locator("#about").innerText()).includes(`up ${upWords(at)}`), 60_000);
    if (at === Math.floor(messages / 6)) early = await heap();
  }
  await until("all is shown", async () => (await page.locator("#about").innerText()).includes(`up ${upWords(messages - 1)}`), 60_000);
  late = await heap();
  assert.deepEqual(await clean(page), []);
  await page.context().close();
  const told = `${(early.size / 2 ** 20).toFixed(2)} MiB early, ${(late.size / 2 ** 20).toFixed(2)} MiB late; ${early.nodes} and ${late.nodes} elements`;
  // The hour of samples is still filling up when the early figure is taken.
  assert.ok(late.size <= early.size * 1.1 + 512 * 1024, told);
  assert.ok(late.nodes <= early.nodes * 1.05, told);
  return told;
}

/** As the page words it: see `span` there. */
function upWords(seconds) {
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${seconds} s`;
  if (seconds < 7_170) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}
