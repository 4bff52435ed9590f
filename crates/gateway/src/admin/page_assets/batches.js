// Batches: those that run on this machine by themselves, and what goes through this gateway in the batch class.

import { el, keyed, show, text } from "./dom.js";
import { bar, fillBar } from "./overview.js";
import * as words from "./words.js";

export class Batches {
  constructor() {
    this.through = el("p");
    this.list = el("ul", { class: "plain-list" });
    document.getElementById("batches").append(this.list, this.through);
  }

  render({ status, runs, lines }) {
    keyed(this.list, runs, (run) => run.pid, make, update);
    show(this.list, runs.length > 0);
    const flying = status.flights.filter((flight) => flight.priority === "batch").length;
    const ended = lines.filter((line) => line.priority === "batch").length;
    const newcomer = status.newcomer_wait_seconds.batch;
    text(this.through, `In the batch class of this gateway: ${words.number(status.waiting.batch)} waiting, ${words.number(flying)} in flight, `
      + `${words.number(ended)} of the last ${words.number(lines.length)} requests`
      + `${newcomer === null ? "." : `; the last in line starts in about ${words.span(newcomer)}.`}`);
  }
}

function make() {
  const parts = { name: el("p", { class: "name" }), bar: bar(), progress: el("p"), money: el("p", { class: "muted" }) };
  const node = el("li", { class: "batch" }, parts.name, parts.bar, parts.progress, parts.money);
  node.parts = parts;
  return node;
}

function update(node, { batch, paused }) {
  const { name, bar: shown, progress, money } = node.parts;
  text(name, batch.output === "" ? batch.input : `${batch.input} → ${batch.output}`);
  fillProgress(shown, batch.total === 0 ? 0 : (batch.done + batch.failed) / batch.total);
  const eta = paused ? "paused" : batch.eta_seconds === null ? "no estimate yet" : `about ${words.span(batch.eta_seconds)} left`;
  const binds = batch.binds === null ? "" : `; held back by ${words.bind(batch.binds)}`;
  text(progress, `${words.number(batch.done)} of ${words.number(batch.total)} done, ${words.number(batch.failed)} failed, ${words.number(batch.in_flight)} in flight; ${eta}${binds}.`);
  const projected = batch.projected_micro_usd === null ? "" : `, ${words.money(batch.projected_micro_usd)} expected in all`;
  const budget = batch.budget_micro_usd === null ? "" : `, ${words.money(batch.budget_micro_usd)} allowed`;
  text(money, `${words.money(batch.cost_micro_usd)} spent${projected}${budget}; ${words.number(batch.requests_per_minute)} requests and ${words.number(batch.tokens_per_minute)} tokens a minute`);
}

function fillProgress(node, share) {
  fillBar(node, share);
  node.className = "meter";
}
