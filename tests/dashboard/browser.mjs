// Chromium, as the checks want it: nothing of the user's, nothing from outside, and every complaint kept.

import fs from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import path from "node:path";

const require = createRequire(path.join(process.env.DASHBOARD_MODULES, "package.json"));
const { chromium } = require("playwright-core");
export const AXE = fs.readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const ARGUMENTS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync",
];

export class Browser {
  async start() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "chromium-"));
    this.context = await chromium.launchPersistentContext(this.folder, {
      executablePath: "/usr/bin/chromium", args: ARGUMENTS, headless: true, viewport: null,
    });
    this.browser = this.context.browser();
    this.contexts = [];
    return this;
  }

  /** A page in a context of its own; whatever it complains of or asks of others is in `page.complaints`. */
  async page(admin, { width = 1280, height = 900, dark = false, token = null, ...more } = {}) {
    const options = { viewport: { width, height }, colorScheme: dark ? "dark" : "light", reducedMotion: "reduce", ...more };
    const context = this.browser ? await this.browser.newContext(options) : this.context;
    this.contexts.push(context);
    const page = await context.newPage();
    page.complaints = [];
    const own = new URL(admin).origin;
    page.on("console", (message) => { if (["error", "warning"].includes(message.type())) page.complaints.push(message.text()); });
    page.on("pageerror", (error) => page.complaints.push(String(error)));
    page.on("request", (request) => { if (new URL(request.url()).origin !== own) page.complaints.push(`asks ${request.url()}`); });
    page.on("dialog", (dialog) => { page.complaints.push(`dialog: ${dialog.message()}`); dialog.dismiss(); });
    await page.addInitScript(() => {
      window.violations = [];
      document.addEventListener("securitypolicyviolation", (event) => window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
    });
    if (token) await page.addInitScript((value) => sessionStorage.setItem("paceline-admin-token", value), token);
    await page.goto(`${admin}/`);
    return page;
  }

  async end() {
    for (const context of this.contexts) await context.close().catch(() => {});
    await this.context.close();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** What axe-core finds wrong with a page as it stands. */
export async function axe(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.violations.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(" ")).slice(0, 3).join(" | ")}`);
}

export async function clean(page) {
  return [...page.complaints, ...await page.evaluate(() => window.violations)];
}
