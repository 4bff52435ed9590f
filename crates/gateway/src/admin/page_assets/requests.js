// The requests that ended of late, each with its timeline, and filters over them.

import { el, keyed, pill, row, show, table, text } from "./dom.js";
import * as words from "./words.js";

const COLUMNS = ["Ended", "Model", "Upstream", "Tenant", "Outcome", "Timeline", "Tokens", "Cost"];
// Rows that are on the page at once; what is further back is found by the filters.
const MOST_ROWS = 100;
const OUTCOMES = [["", "All outcomes"], ["done", "Done"], ["failed", "Failed"], ["refused", "Refused"], ["left", "Caller left"]];
const PRIORITIES = [["", "All classes"], ["interactive", "Interactive"], ["normal", "Normal"], ["batch", "Batch"]];

export class Requests {
  constructor() {
    this.note = document.getElementById("requests-note");
    this.search = el("input", { type: "search", id: "filter-text", autocomplete: "off", spellcheck: "false" });
    this.outcome = choice("filter-outcome", OUTCOMES);
    this.priority = choice("filter-priority", PRIORITIES);
    this.slow = el("input", { type: "checkbox", id: "filter-slow" });
    this.table = table("Recent requests, newest first", COLUMNS);
    this.none = el("p", { class: "muted" });
    const filters = el("div", { class: "filters", role: "group", "aria-label": "Filters" },
      field("Model, upstream, tenant or id", this.search), field("Outcome", this.outcome), field("Class", this.priority),
      el("label", { class: "check", for: "filter-slow" }, this.slow, "only those that waited or were tried again"));
    const legend = el("p", { class: "legend muted" }, key("wait", "waited"), key("first", "until the first byte"), key("rest", "until the end"));
    document.getElementById("requests").append(filters, legend, this.table.whole, this.none);
    for (const input of [this.search, this.outcome, this.priority, this.slow]) input.addEventListener("input", () => this.latest && this.render(this.latest));
  }

  render(store) {
    this.latest = store;
    const wanted = this.search.value.trim().toLowerCase();
    const found = store.lines.filter((line) => this.passes(line, wanted));
    const shown = found.slice(0, MOST_ROWS);
    text(this.note, `${words.number(shown.length)} shown of the last ${words.number(store.lines.length)}`
      + `${store.untold > 0 ? `; ${words.number(store.untold)} came too fast to be listed` : ""}.`);
    text(this.none, store.lines.length === 0 ? "No request has ended yet." : "None of them passes the filters.");
    show(this.none, shown.length === 0);
    show(this.table.whole, shown.length > 0);
    const slowest = Math.max(1, ...shown.map((line) => line.total_ms));
    keyed(this.table.body, shown, (line) => line.id, make, (node, line) => scale(node, line, slowest));
  }

  passes(line, wanted) {
    if (this.outcome.value !== "" && line.outcome !== this.outcome.value) return false;
    if (this.priority.value !== "" && line.priority !== this.priority.value) return false;
    if (this.slow.checked && line.attempts < 2 && line.throttled === 0 && (line.waited_ms ?? 0) < 100) return false;
    if (wanted === "") return true;
    return [line.model, line.sent_as, line.upstream, line.tenant, line.id, line.class].some((name) => name?.toLowerCase().includes(wanted));
  }
}

function choice(id, options) {
  return el("select", { id }, ...options.map(([value, name]) => el("option", { value, text: name })));
}

function field(name, input) {
  return el("div", { class: "field" }, el("label", { for: input.id, text: name }), input);
}

function key(kind, name) {
  return el("span", { class: "key" }, el("span", { class: `swatch ${kind}`, "aria-hidden": "true" }), name);
}

function make(line) {
  const model = el("span", { text: line.model === "" ? "(none named)" : line.model });
  if (line.sent_as) model.append(el("span", { class: "muted", text: ` as ${line.sent_as}` }));
  const outcome = el("span");
  pill(outcome, ...words.outcome(line));
  const told = el("span", {}, outcome);
  if (line.class) told.append(el("span", { class: "muted", text: ` ${line.class}` }));
  const tokens = line.input_tokens === null ? "—" : `${words.number(line.input_tokens)} + ${words.number(line.output_tokens)}`;
  const tenant = el("span", { text: words.tenant(line.tenant) }, el("span", { class: "muted", text: ` ${line.priority}` }));
  const timeline = spans(line);
  const node = row(COLUMNS,
    el("time", { class: "amount", datetime: new Date(line.ended_ms).toISOString(), text: words.time(line.ended_ms), title: `id ${line.id}` }),
    model, el("span", { text: line.upstream ?? "—" }), tenant, told, timeline,
    el("span", { class: "amount", text: tokens }), el("span", { class: "amount", text: words.money(line.cost_micro_usd) }));
  node.bar = timeline.firstElementChild;
  return node;
}

/** Waited, until the first byte, until the end: as a bar, and in words. */
function spans(line) {
  const bar = el("span", { class: "timeline", "aria-hidden": "true" }, el("span", { class: "wait" }), el("span", { class: "first" }), el("span", { class: "rest" }));
  const tries = line.attempts > 1 ? `, ${line.attempts} attempts` : "";
  const throttled = line.throttled > 0 ? `, ${line.throttled} throttled` : "";
  const waited = line.waited_ms === null ? "" : `waited ${words.millis(line.waited_ms)}, `;
  const first = line.first_byte_ms === null ? "" : `first byte ${words.millis(line.first_byte_ms)}, `;
  return el("span", { class: "spans" }, bar, el("span", { class: "told", text: `${waited}${first}total ${words.millis(line.total_ms)}${tries}${throttled}` }));
}

/** All rows have one scale: the slowest on the page is as wide as there is room. */
function scale(node, line, slowest) {
  if (node.scale === slowest) return;
  node.scale = slowest;
  const waited = Math.min(line.waited_ms ?? 0, line.total_ms);
  const first = Math.min(line.first_byte_ms ?? 0, line.total_ms - waited);
  const [wait, head, rest] = node.bar.children;
  const width = (part) => `${((part / slowest) * 100).toFixed(2)}%`;
  wait.style.width = width(waited);
  head.style.width = width(first);
  rest.style.width = width(line.total_ms - waited - first);
}
