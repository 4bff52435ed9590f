// What the dashboard must be: complete, live, in order, usable by everybody, and deaf to what it shows.

import assert from "node:assert/strict";

import { axe, clean } from "./browser.mjs";
import { STRINGS } from "./hostile.mjs";
import { TOKEN, call, sleep, until } from "./stage.mjs";
import { stubbed } from "./stubbed.mjs";
import { traffic, world } from "./world.mjs";

export const all = (tools) => everything(tools, { strings: STRINGS, messages: 7_200 });
export const slice = (tools) => everything(tools, { strings: STRINGS.slice(0, 25), messages: 1_200 });

async function everything(tools, { strings, messages }) {
  const { stage, browser, check } = tools;
  const gateway = await world(stage);
  stage.batch("alone", 90);
  const open = await world(stage, { token: false });
  const stop = traffic(gateway);
  await ways(check, gateway, open);
  await signing(check, browser, gateway);
  const page = await browser.page(gateway.admin, { token: TOKEN });
  await page.waitForSelector("#glance .tile");
  await panels(check, page, gateway);
  await looks(check, browser, page, gateway);
  await keyboard(check, browser, gateway);
  await actions(check, page, gateway);
  stop();
  await check("nothing was complained of, nothing asked of others", async () => assert.deepEqual(await clean(page), []));
  await page.context().close();
  await stubbed(check, browser, gateway, strings, messages);
  await draining(check, browser, open);
}

const status = async (gateway) => JSON.parse((await call(`${gateway.admin}/v1/status`, { headers: auth(gateway) })).body);
const auth = ({ token }) => (token ? { authorization: `Bearer ${token}` } : {});

/** Who may come in, and who may not. */
async function ways(check, gateway, open) {
  const host = (of) => of.admin.slice(7);
  const post = (of, path, headers, body = "{}") => call(`${of.admin}${path}`, { method: "POST", headers: { "content-type": "application/json", ...headers }, body });
  await check("without the token nothing is told and nothing done", async () => {
    for (const path of ["/v1/status", "/v1/live", "/metrics"]) assert.equal((await call(`${gateway.admin}${path}`)).status, 401, path);
    for (const path of ["/pause", "/resume", "/drain", "/reload", "/ceilings", "/upstreams/out", "/upstreams/in"]) {
      assert.equal((await post(gateway, path, {})).status, 401, path);
      assert.equal((await post(gateway, path, { authorization: "Bearer wrong-token-of-good-length" })).status, 401, path);
    }
  });
  await check("pages of others get nothing, with or without a token", async () => {
    const strangers = [
      { "sec-fetch-site": "cross-site", origin: "http://evil.example" }, { "sec-fetch-site": "same-site", origin: "http://localhost:1" },
      { origin: "http://evil.example" }, { origin: "null" }, { host: "evil.example" }, { host: `evil.example:${host(open).split(":")[1]}` },
    ];
    for (const of of [gateway, open]) {
      for (const headers of strangers) {
        for (const path of ["/pause", "/drain", "/ceilings", "/upstreams/out"]) {
          const { status: got } = await post(of, path, { ...auth(of), ...headers });
          assert.ok([403, 421].includes(got), `${path} ${JSON.stringify(headers)}: ${got}`);
        }
        const { status: seen } = await call(`${of.admin}/v1/status`, { headers: { ...auth(of), ...headers } });
        assert.ok([403, 421].includes(seen), `status ${JSON.stringify(headers)}: ${seen}`);
      }
      for (const kind of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]) {
        assert.equal((await post(of, "/pause", { ...auth(of), "content-type": kind })).status, 415, kind);
      }
      assert.equal((await status(of)).paused, false);
    }
  });
  await check("the page's headers shut everything else out, and no other path leads anywhere", async () => {
    const { headers } = await call(`${gateway.admin}/`);
    const policy = headers["content-security-policy"];
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"]) {
      assert.ok(policy.includes(part), part);
    }
    assert.ok(!policy.includes("unsafe"));
    assert.deepEqual([headers["x-content-type-options"], headers["referrer-policy"], headers["cache-control"]], ["nosniff", "no-referrer", "no-store"]);
    const paths = ["/assets/", "/assets/x.js", "/assets/../etc/passwd", "/assets/%2e%2e/x", "/assets//app.js", "/assets/app.js/", "/ASSETS/app.js", "/etc/passwd", "/assets/..\\x", "/index.html"];
    for (const path of paths) assert.ok([400, 401, 404].includes((await call(`${gateway.admin}${path}`)).status), path);
  });
  await check("an action's words are read strictly", async () => {
    const bad = [["/upstreams/out", '{"upstream":"nobody"}', 404], ["/upstreams/out", "[]", 400], ["/upstreams/out", '{"upstream":"x","more":1}', 400],
      ["/ceilings", '{"account":"org-a","models":"claude-haiku-*","dimension":"money","window_seconds":60,"limit":5}', 400],
      ["/ceilings", '{"account":"x","models":"y","dimension":"requests","window_seconds":60,"limit":5}', 404], ["/ceilings", "x".repeat(9_000), 413]];
    for (const [path, body, want] of bad) assert.equal((await post(gateway, path, auth(gateway), body)).status, want, `${path} ${body.slice(0, 40)}`);
  });
}

async function signing(check, browser, gateway) {
  await check("signs in with the token alone, forgets it on signing out, keeps it in the tab", async () => {
    const page = await browser.page(gateway.admin);
    await page.waitForSelector("#signin:not([hidden])");
    assert.deepEqual(await axe(page), []);
    await page.fill("#token", "not-the-token-at-all");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#signin-error:not(:empty)");
    await page.fill("#token", TOKEN);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#glance .tile");
    assert.equal(await page.evaluate(() => document.cookie + localStorage.length), "0");
    await page.reload();
    await page.waitForSelector("#glance .tile");
    await page.click("#signout");
    await page.waitForSelector("#signin:not([hidden])");
    assert.equal(await page.evaluate(() => sessionStorage.length + document.querySelectorAll(".tile").length), 0);
    assert.deepEqual((await clean(page)).filter((words) => !words.includes("401")), []);
    await page.context().close();
  });
}

/** Everything that is to be shown, with live figures. */
async function panels(check, page, gateway) {
  const shows = (name, selector, pattern, within = 40_000) => check(`shows ${name}`, () =>
    until(`${selector} ~ ${pattern}`, async () => pattern.test(await page.locator(selector).innerText().catch(() => "")), within));
  await shows("what is waited for", "#glance", /For .+ of org-a · claude-haiku-\*\. The next one starts in/);
  await shows("which upstream is the problem", "#glance", /claude-backup: its account has no money left/);
  await shows("the cost of today", "#glance", /Cost today\s+\$0\.\d\d\d\d/);
  await shows("429s of the last hour", "#glance", /Throttled\s+[1-9]/);
  await shows("a quota's use against its limit", "#quotas", /Requests \/ min\s+\d+ of \d+/);
  await shows("the queue by priority with waits", "#queue", /batch\s+[1-9]\d*\s+[\d.]+ m?s\s+[\d.]+ (s|ms|min)/);
  await shows("the queue by tenant", "#queue", /ci\s+0\s+0\s+[1-9]/);
  await shows("an upstream's health and reason", "#upstreams", /claude-backup\s+out of service[\s\S]+add credit/);
  await shows("what was throttled last", "#upstreams", /claude-main: throttled, .+ ago/);
  await shows("requests in flight", "#flights", /claude-haiku-4-5\s+claude-main\s+(ci|desk)/);
  await shows("budgets", "#money", /ci · money\s+\$[\d.]+ of \$2\.00 \/ day/);
  await shows("a batch that runs by itself", "#batches", /alone\.jsonl → .+alone-out\.jsonl[\s\S]+ of 90 done, 0 failed.+held back by requests/i);
  await shows("the batch class", "#batches", /In the batch class of this gateway: [1-9]\d* waiting/);
  await shows("recent requests with their timelines", "#requests", /smart as claude-haiku-4-5\s+claude-main[\s\S]+waited .+ first byte .+ total/);
  await check("what it shows is what the gateway says", async () => {
    const said = await status(gateway);
    const shown = await page.locator("#upstreams .upstream").count();
    assert.equal(shown, said.upstreams.length);
    const sent = () => page.locator("#glance").innerText().then((text) => Number(text.match(/([\d,]+) attempts sent/)[1].replace(",", "")));
    const before = await sent();
    await until("more was sent", async () => (await sent()) > before, 8_000);
  });
  await check("429s are marked in the chart, which says so in words", () => until("a mark", async () => {
    const marks = await page.locator(".quota .marks").evaluateAll((nodes) => nodes.map((node) => node.getAttribute("d") ?? ""));
    const titles = await page.locator(".quota .chart title").evaluateAll((nodes) => nodes.map((node) => node.textContent));
    return marks.some((path) => path.startsWith("M")) && titles.some((title) => /over the last \d+ minutes?: now .+throttled \d+ time/.test(title));
  }, 25_000));
  await check("filters what is listed", async () => {
    const rows = () => page.locator("#requests tbody tr").count();
    await page.fill("#filter-text", "no such name");
    assert.equal(await rows(), 0);
    await page.fill("#filter-text", "");
    await page.selectOption("#filter-outcome", "done");
    const outcomes = await page.locator("#requests tbody .pill").allInnerTexts();
    assert.ok(outcomes.length > 0 && outcomes.every((word) => word === "done"), outcomes.join());
    await page.selectOption("#filter-outcome", "");
    await page.check("#filter-slow");
    assert.ok(await rows() > 0);
    await page.uncheck("#filter-slow");
  });
}

/** Light, dark and narrow, before axe and a ruler. */
async function looks(check, browser, page, gateway) {
  await check("axe-core finds nothing, light", async () => assert.deepEqual(await axe(page), []));
  for (const [name, options] of [["dark", { dark: true }], ["360 px", { width: 360, height: 740 }], ["360 px, dark", { width: 360, height: 740, dark: true }]]) {
    await check(`axe-core finds nothing and nothing sticks out, ${name}`, async () => {
      const other = await browser.page(gateway.admin, { ...options, token: TOKEN });
      await other.waitForSelector("#requests tbody tr");
      assert.deepEqual(await axe(other), []);
      const [wide, room] = await other.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth]);
      assert.ok(wide <= room, `${wide} > ${room}`);
      if (options.dark) assert.ok(await other.evaluate(() => getComputedStyle(document.documentElement).backgroundColor.match(/\d+/g).every((part) => part < 60)));
      await other.click("#pause");
      await other.waitForSelector("dialog[open]");
      assert.deepEqual(await axe(other), []);
      assert.deepEqual(await clean(other), []);
      await other.context().close();
    });
  }
}

/** Everything by keys: in, along, done, out, and back where one was. */
async function keyboard(check, browser, gateway) {
  await check("works by keyboard alone", async () => {
    const page = await browser.page(gateway.admin, { token: TOKEN });
    await page.waitForSelector("#requests tbody tr");
    const here = () => page.evaluate(() => document.activeElement.id || document.activeElement.getAttribute("aria-label") || document.activeElement.textContent);
    await page.keyboard.press("Tab");
    assert.match(await here(), /Skip to the dashboard/);
    const seen = new Set();
    for (let step = 0; step < 60; step += 1) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement === document.body)) continue; // Once around.
      const at = await here();
      if (seen.has(at) && at === "pause") break;
      seen.add(at);
      const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(ring, "none", `no ring around ${at}`);
    }
    for (const wanted of ["pause", "drain", "signout", "Take out claude-main", "filter-text", "filter-outcome", "filter-priority", "filter-slow"]) assert.ok(seen.has(wanted), `${wanted} of ${[...seen].join(" | ")}`);
    assert.ok([...seen].some((name) => name.startsWith("Retune requests per minute")));
    await page.focus("#pause");
    await page.keyboard.press("Enter");
    await page.waitForSelector("dialog[open]");
    assert.equal(await here(), "dialog-cancel", "the harmless choice comes first");
    await page.keyboard.press("Escape");
    await page.waitForSelector("dialog:not([open])", { state: "attached" });
    assert.equal(await here(), "pause", "back where one was");
    assert.equal((await status(gateway)).paused, false);
    await sleep(2_500);
    assert.equal(await here(), "pause", "news takes nobody's place away");
    await page.context().close();
  });
}

/** What the operator does, asked for once more, and seen to have been done. */
async function actions(check, page, gateway) {
  const confirm = async (selector, then) => {
    await page.click(selector);
    await page.waitForSelector("dialog[open]");
    if (then) await then();
    await page.click("#dialog-confirm");
  };
  await check("does nothing that is not confirmed", async () => {
    await page.click("#pause");
    await page.click("#dialog-cancel");
    await page.click('button[aria-label="Take out claude-main"]');
    await page.keyboard.press("Escape");
    const said = await status(gateway);
    assert.ok(!said.paused && said.upstreams.every((upstream) => !upstream.taken_out));
  });
  await check("pauses and resumes", async () => {
    await confirm("#pause");
    await until("paused", async () => (await status(gateway)).paused);
    await page.waitForSelector("#state:text-is('paused')");
    await until("it says so", async () => /Everything waits: sending is paused/.test(await page.locator("#glance").innerText()));
    await confirm("#pause");
    await until("resumed", async () => !(await status(gateway)).paused);
    await page.waitForSelector("#state:text-is('serving')");
  });
  await check("takes an upstream out and puts it back", async () => {
    await confirm('button[aria-label="Take out claude-main"]');
    await page.waitForSelector('button[aria-label="Put back claude-main"]');
    const told = (await status(gateway)).upstreams.find((upstream) => upstream.name === "claude-main");
    assert.ok(told.taken_out);
    const { sent } = await status(gateway);
    await sleep(1_500);
    assert.ok((await status(gateway)).sent - sent <= 1, "nothing goes there");
    await confirm('button[aria-label="Put back claude-main"]');
    await until("it serves again", async () => (await status(gateway)).sent > sent + 1);
  });
  await check("retunes a ceiling", async () => {
    const button = 'button[aria-label^="Retune requests per minute of org-a · claude-haiku"]';
    const limit = async () => (await status(gateway)).limiters.find((of) => of.models === "claude-haiku-*").limits.find((of) => of.window === "min" && of.dimension === "requests").limit;
    await confirm(button, () => page.fill("#dialog-value", "30"));
    await until("the ceiling holds", async () => (await limit()) === 30);
    await confirm(button, () => page.fill("#dialog-value", "0"));
    await page.waitForSelector("#dialog-error:not(:empty)");
    await page.click("#dialog-cancel");
    assert.equal(await limit(), 30);
  });
}

async function draining(check, browser, open) {
  await check("drains from the page, which says that nobody is there any more; without a token there is nothing to sign in with", async () => {
    const page = await browser.page(open.admin);
    await page.waitForSelector("#glance .tile");
    assert.ok(await page.locator("#signin").isHidden());
    await page.click("#drain");
    await page.click("#dialog-confirm");
    await until("the process has ended", () => open.child.exitCode === 0);
    await page.waitForSelector("#state:text-is('no connection')");
    await page.context().close();
  });
}
