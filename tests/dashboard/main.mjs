// Runs what is asked for and counts what came of it.

import { Browser } from "./browser.mjs";
import { Stage } from "./stage.mjs";

const WHAT = {
  checks: () => import("./checks.mjs").then((module) => module.all),
  slice: () => import("./checks.mjs").then((module) => module.slice),
  screenshots: () => import("./screenshots.mjs").then((module) => module.run),
  load: () => import("./load.mjs").then((module) => module.run),
};

const what = process.argv[2];
if (!WHAT[what]) {
  console.error(`unknown: ${what}; there are ${Object.keys(WHAT).join(", ")}`);
  process.exit(2);
}

let passed = 0;
let failed = 0;

/** One check, one line. */
async function check(name, holds) {
  const begun = Date.now();
  try {
    const told = await holds();
    passed += 1;
    console.log(`ok    ${name}${told ? `: ${told}` : ""} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
  } catch (fault) {
    failed += 1;
    console.log(`FAILED ${name}: ${fault.stack ?? fault}`);
  }
}

const stage = new Stage();
const browser = await new Browser().start();
try {
  const run = await WHAT[what]();
  await run({ stage, browser, check });
} catch (fault) {
  failed += 1;
  console.log(`FAILED ${what}: ${fault.stack ?? fault}`);
} finally {
  await browser.end();
  await stage.end();
}
console.log(`\n${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
