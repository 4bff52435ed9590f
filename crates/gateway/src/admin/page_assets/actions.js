// What the operator does: asked for once more, sent, and told what came of it.

import { show, text } from "./dom.js";

const byId = (id) => document.getElementById(id);

/** A dialog that asks; resolves to false, or to true or the number that was typed. */
export class Asker {
  constructor() {
    this.dialog = byId("dialog");
    this.value = byId("dialog-value");
    byId("dialog-cancel").addEventListener("click", () => this.dialog.close("cancel"));
    byId("dialog-form").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.field && !this.value.checkValidity()) return text(byId("dialog-error"), "A whole number of at least 1 is needed.");
      this.dialog.close("confirm");
    });
    this.dialog.addEventListener("close", () => this.done?.(this.answer()));
  }

  answer() {
    if (this.dialog.returnValue !== "confirm") return false;
    return this.field ? Number(this.value.value) : true;
  }

  ask({ title, text: words, confirm, danger = false, label = null, value = "" }) {
    text(byId("dialog-title"), title);
    text(byId("dialog-text"), words);
    text(byId("dialog-error"), "");
    text(byId("dialog-confirm"), confirm);
    byId("dialog-confirm").className = danger ? "danger" : "primary";
    this.field = label !== null;
    show(byId("dialog-field"), this.field);
    this.value.disabled = !this.field;
    this.value.required = this.field;
    text(byId("dialog-label"), label ?? "");
    this.value.value = value;
    this.dialog.returnValue = "cancel";
    this.dialog.showModal();
    (this.field ? this.value : byId("dialog-cancel")).focus();
    return new Promise((resolve) => { this.done = resolve; });
  }
}

/** Sends actions with the operator's token. */
export class Sender {
  constructor(token, notify) {
    this.token = token;
    this.notify = notify;
    this.asker = new Asker();
  }

  async post(path, body, done) {
    const headers = { "content-type": "application/json" };
    if (this.token()) headers.authorization = `Bearer ${this.token()}`;
    try {
      const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body ?? {}), cache: "no-store" });
      const told = await response.json().catch(() => ({}));
      if (response.ok) this.notify(done, "good");
      else this.notify(`That did not work: ${told.error ?? told.message ?? response.status}`, "bad");
    } catch {
      this.notify("That did not work: the gateway cannot be reached.", "bad");
    }
  }

  async pause(paused) {
    const question = paused
      ? { title: "Resume sending?", text: "Requests that wait go on as the limits allow.", confirm: "Resume" }
      : { title: "Pause sending?", text: "Nothing more is sent upstream until you resume. Requests in flight finish; those that wait go on waiting, and fail at their deadlines.", confirm: "Pause", danger: true };
    if (await this.asker.ask(question)) await this.post(paused ? "/resume" : "/pause", null, paused ? "Sending goes on." : "Sending is paused.");
  }

  async drain() {
    const sure = await this.asker.ask({
      title: "Drain and stop this gateway?",
      text: "It takes no more requests, finishes those in flight, hands back those that wait, and ends. Whoever supervises it may start it again.",
      confirm: "Drain", danger: true,
    });
    if (sure) await this.post("/drain", null, "The gateway is draining.");
  }

  async service({ name, taken_out: out }) {
    const question = out
      ? { title: `Put ${name} back?`, text: "It gets requests again as its limits allow.", confirm: "Put back" }
      : { title: `Take ${name} out?`, text: "It gets no further request until it is put back or the gateway starts again. Others of its pool serve what they can; what nobody else can serve waits.", confirm: "Take out", danger: true };
    if (await this.asker.ask(question)) {
      await this.post(out ? "/upstreams/in" : "/upstreams/out", { upstream: name }, out ? `${name} is back in service.` : `${name} is out of service.`);
    }
  }

  async retune(limiter, limit, words) {
    const value = await this.asker.ask({
      title: `Retune ${words.toLowerCase()}`,
      text: `For ${limiter.account}, ${limiter.models}. Only a ceiling: a lower limit of the provider holds all the same. It is forgotten when the configuration is read again.`,
      confirm: "Set ceiling", label: `Ceiling (now ${limit.limit})`, value: String(limit.limit),
    });
    if (value === false) return;
    const { account, models } = limiter;
    const { dimension, window_seconds } = limit;
    await this.post("/ceilings", { account, models, dimension, window_seconds, limit: value }, `The ceiling is ${value} until the next reload.`);
  }
}
