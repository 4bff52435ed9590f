// At a glance: what is it waiting for, which upstream is the problem, what does it cost.

import { attribute, el, keyed, pill, show, text } from "./dom.js";
import * as words from "./words.js";

const PRIORITIES = ["interactive", "normal", "batch"];

export class Overview {
  constructor() {
    this.tiles = document.getElementById("glance");
    this.money = document.getElementById("money");
    this.allowances = el("ul", { class: "plain-list" });
    this.today = el("p", { class: "lead" });
    this.unpriced = el("p", { class: "muted" });
    this.nothing = el("p", { class: "muted", text: "No budget and no caller's allowance is configured." });
    this.money.append(this.today, this.unpriced, this.nothing, this.allowances);
  }

  render(store) {
    const { status } = store;
    const tiles = [waiting(status), troubles(status), flight(status), cost(status), throttled(store)];
    keyed(this.tiles, tiles, (tile) => tile.name, makeTile, updateTile);
    this.spending(status);
  }

  spending({ cost_today: today, budgets, callers }) {
    text(this.today, `${words.money(today?.micro_usd ?? 0)} today (UTC)`);
    const unpriced = today?.unpriced ?? 0;
    text(this.unpriced, `${words.counted(unpriced, "request", "requests")} without a known price`);
    show(this.unpriced, unpriced > 0);
    const all = budgets.map((allowance) => ({ whose: "All callers", allowance }));
    const own = callers.flatMap((caller) => caller.allowances.map((allowance) => ({ whose: caller.name, allowance })));
    const shown = [...all, ...own];
    show(this.nothing, shown.length === 0);
    keyed(this.allowances, shown, ({ whose, allowance }) => JSON.stringify([whose, allowance.dimension, allowance.window]), makeAllowance, updateAllowance);
  }
}

function waiting(status) {
  const count = PRIORITIES.reduce((sum, priority) => sum + status.waiting[priority], 0);
  const tile = { name: "Waiting", value: words.number(count), kind: "calm" };
  if (count === 0) return { ...tile, words: status.paused ? "Nothing waits. Sending is paused." : "Nothing waits." };
  if (status.paused) return { ...tile, kind: "warn", words: "Everything waits: sending is paused." };
  const soonest = Math.min(...PRIORITIES.map((priority) => status.wait_seconds[priority] ?? Infinity));
  const next = Number.isFinite(soonest) ? ` The next one starts in ${words.span(soonest)}.` : "";
  const binds = status.limiters.find((limiter) => limiter.binds);
  const why = binds ? `For ${words.bind(binds.binds)} of ${words.meter(binds)}.` : "For its turn.";
  return { ...tile, kind: "warn", words: why + next };
}

function troubles(status) {
  const ill = status.upstreams.filter((upstream) => upstream.taken_out || upstream.health !== "closed");
  const tile = { name: "Upstreams", value: `${status.upstreams.length - ill.length} of ${status.upstreams.length} well`, kind: "calm" };
  if (ill.length === 0) return { ...tile, words: "All of them serve." };
  const [first] = ill;
  const more = ill.length > 1 ? ` And ${ill.length - 1} more.` : "";
  return { ...tile, kind: ill.every((upstream) => upstream.taken_out) ? "warn" : "bad", words: `${first.name}: ${first.reason}.${more}` };
}

function flight(status) {
  return {
    name: "In flight", value: words.number(status.in_flight), kind: "calm",
    words: `${words.number(status.sent)} attempts sent, ${words.number(status.retries)} of them again after a failure.`,
  };
}

function cost(status) {
  const tile = { name: "Cost today", value: words.money(status.cost_today?.micro_usd ?? 0), kind: "calm" };
  const budget = status.budgets.find((allowance) => allowance.dimension === "budget");
  if (!budget) return { ...tile, words: "No budget for all together is set." };
  const share = budget.limit === 0 ? 1 : budget.used / budget.limit;
  return {
    ...tile, share, kind: share >= 1 ? "bad" : share >= 0.8 ? "warn" : "calm",
    words: `${words.money(budget.used)} of ${words.money(budget.limit)} a ${words.per(budget.window)}, reservations included.`,
  };
}

function throttled(store) {
  let hour = 0;
  for (const meter of store.meters.values()) hour += meter.throttled.reduce((sum, count) => sum + count, 0);
  const [last] = store.status.throttles;
  return {
    name: "Throttled", value: words.number(hour), kind: hour > 0 ? "warn" : "calm",
    words: last ? `In the last hour. Last: ${last.upstream}, ${words.span(last.ago_seconds)} ago.` : "No 429 in the last hour.",
  };
}

function makeTile(tile) {
  const parts = { value: el("p", { class: "value" }), words: el("p", { class: "words" }), bar: bar() };
  const node = el("div", { class: "tile" }, el("h3", { text: tile.name }), parts.value, parts.bar, parts.words);
  node.parts = parts;
  return node;
}

function updateTile(node, tile) {
  attribute(node, "class", `tile ${tile.kind}`);
  text(node.parts.value, tile.value);
  text(node.parts.words, tile.words);
  show(node.parts.bar, tile.share !== undefined);
  if (tile.share !== undefined) fillBar(node.parts.bar, tile.share);
}

/** A bar that repeats what words beside it say. */
export function bar() {
  return el("div", { class: "meter", "aria-hidden": "true" }, el("span"));
}

export function fillBar(node, share) {
  const width = `${Math.min(100, share * 100).toFixed(1)}%`;
  const fill = node.firstElementChild;
  if (fill.style.width !== width) fill.style.width = width;
  attribute(node, "class", `meter ${share >= 1 ? "full" : share >= 0.8 ? "high" : ""}`);
}

function makeAllowance() {
  const parts = { name: el("span"), amount: el("span", { class: "amount" }), bar: bar() };
  const node = el("li", { class: "allowance" }, parts.name, parts.amount, parts.bar);
  node.parts = parts;
  return node;
}

function updateAllowance(node, { whose, allowance }) {
  const amount = allowance.dimension === "budget" ? words.money : words.number;
  text(node.parts.name, `${whose} · ${words.dimension(allowance.dimension).toLowerCase()}`);
  text(node.parts.amount, `${amount(allowance.used)} of ${amount(allowance.limit)} / ${allowance.window}`);
  fillBar(node.parts.bar, allowance.limit === 0 ? 1 : allowance.used / allowance.limit);
}

/** The state of the whole process, as a pill. */
export function state(node, status) {
  if (!status.ready) pill(node, "warn", "draining");
  else if (status.paused) pill(node, "warn", "paused");
  else pill(node, "good", "serving");
}
