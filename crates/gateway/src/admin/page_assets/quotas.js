// Each quota's use against its limit, now and over the last hour.

import { chart, draw } from "./chart.js";
import { attribute, el, keyed, show, text } from "./dom.js";
import { bar, fillBar } from "./overview.js";
import { limitKey, meterKey } from "./store.js";
import * as words from "./words.js";

// More cards than anybody looks at cost more than they tell.
const MOST_CARDS = 60;

export class Quotas {
  constructor(sender) {
    this.sender = sender;
    this.cards = document.getElementById("quotas");
    this.note = document.getElementById("quotas-note");
  }

  render(store) {
    const { limiters, limiters_untold: untold } = store.status;
    // Those that nobody uses come last; the others stay where they are, so that nothing jumps about.
    const rank = (limiter) => (limiter.throttled > 0 || limiter.in_flight > 0 || closeness(limiter) > 0 ? 0 : 1);
    const inUse = [...limiters].sort((one, other) => rank(one) - rank(other));
    const busiest = [...limiters].sort((one, other) => closeness(other) - closeness(one));
    const shown = limiters.length <= MOST_CARDS ? inUse : busiest.slice(0, MOST_CARDS);
    const hidden = limiters.length - shown.length + untold;
    text(this.note, limiters.length === 0 ? "No request has come yet, so nothing is metered."
      : `Use in the last window against the limit, over the last hour${hidden > 0 ? `; ${hidden} more are not shown` : ""}.`);
    keyed(this.cards, shown, meterKey, () => this.make(), (node, limiter) => this.update(node, limiter, store));
  }

  make() {
    const parts = {
      title: el("h3"), models: el("p", { class: "models" }), binds: el("p", { class: "binds" }),
      flight: el("p", { class: "muted flight" }), limits: el("ul", { class: "plain-list limits" }),
    };
    const node = el("article", { class: "card quota" },
      el("div", { class: "quota-head" }, parts.title, parts.models, parts.flight), parts.binds, parts.limits);
    node.parts = parts;
    return node;
  }

  update(node, limiter, store) {
    const { title, models, binds, flight, limits } = node.parts;
    text(title, limiter.account);
    text(models, limiter.models);
    const closed = limiter.closed_for_seconds;
    const why = closed !== null ? `Closed for ${words.span(closed)}: the provider asked for patience.`
      : limiter.binds ? `Held back last by ${words.bind(limiter.binds)}.` : "";
    text(binds, why);
    attribute(binds, "class", closed !== null ? "binds bad" : "binds");
    show(binds, why !== "");
    const most = limiter.in_flight_limit;
    text(flight, `${words.number(limiter.in_flight)}${most === null ? "" : ` of ${words.number(most)}`} in flight`
      + `${limiter.limits.length === 0 ? "; no limit is known yet" : ""}`);
    const history = store.meters.get(meterKey(limiter));
    keyed(limits, limiter.limits, limitKey, (limit) => this.makeLimit(limiter, limit),
      (item, limit) => updateLimit(item, limiter, limit, history, store.sampled));
  }

  makeLimit(limiter, limit) {
    const what = `${words.dimension(limit.dimension)} per ${words.per(limit.window)}`;
    const parts = { amount: el("span", { class: "amount" }), source: el("span", { class: "muted source" }), bar: bar(), chart: chart() };
    const node = el("li", { class: "limit" });
    const retune = el("button", {
      type: "button", class: "small", text: "Retune", "aria-label": `Retune ${what.toLowerCase()} of ${words.meter(limiter)}`,
      on: { click: () => this.sender.retune(limiter, node.limit, what) },
    });
    const axis = el("p", { class: "axis" }, el("span", { "aria-hidden": "true", text: "1 h ago" }), parts.source, el("span", { "aria-hidden": "true", text: "now" }));
    node.append(el("div", { class: "limit-head" }, el("span", { class: "what", text: `${words.dimension(limit.dimension)} / ${limit.window}` }), parts.amount, retune), parts.bar, parts.chart, axis);
    Object.assign(node, { parts, what });
    return node;
  }
}

function updateLimit(node, limiter, limit, history, sampled) {
  node.limit = limit;
  text(node.parts.amount, `${words.number(limit.used)} of ${words.number(limit.limit)}`);
  fillBar(node.parts.bar, limit.limit === 0 ? 1 : limit.used / limit.limit);
  if (node.sampled === sampled) return;
  node.sampled = sampled;
  const throttled = history ? blamed(history, limitKey(limit)) : [];
  const count = throttled.reduce((sum, one) => sum + one, 0);
  text(node.parts.source, `${words.source(limit.source)}${count > 0 ? ` · ${words.number(count)} × 429` : ""}`);
  const samples = history?.limits.get(limitKey(limit));
  draw(node.parts.chart, `${node.what} of ${words.meter(limiter)}`, samples ?? { used: [], limit: [] }, throttled);
}

/** The refusals that are put down to one limit: the provider names none, so the fullest at that time is blamed. */
function blamed({ throttled, limits }, key) {
  const before = (samples, at) => samples.at(at - throttled.length) ?? 0;
  return throttled.map((count, at) => {
    if (count === 0) return 0;
    let [fullest, share] = [null, -1];
    for (const [name, { used, limit }] of limits) {
      const full = before(used, at) / Math.max(1, before(limit, at));
      if (full > share) [fullest, share] = [name, full];
    }
    return fullest === key ? count : 0;
  });
}

function closeness(limiter) {
  return Math.max(0, ...limiter.limits.map((limit) => limit.used / Math.max(1, limit.limit)));
}
