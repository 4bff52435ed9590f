// Puts the page together: signs in, listens, and shows what comes.

import { Sender } from "./actions.js";
import { Batches } from "./batches.js";
import { attribute, pill, show, text } from "./dom.js";
import { Live } from "./live.js";
import { Overview, state } from "./overview.js";
import { Queue } from "./queue.js";
import { Quotas } from "./quotas.js";
import { Requests } from "./requests.js";
import { Store } from "./store.js";
import { Upstreams } from "./upstreams.js";
import { span, time } from "./words.js";

const TOKEN = "paceline-admin-token";
const NOTICE_FOR = 10_000;
const byId = (id) => document.getElementById(id);

class App {
  constructor() {
    this.store = new Store();
    this.token = () => sessionStorage.getItem(TOKEN) ?? "";
    this.sender = new Sender(this.token, (words, kind) => this.notify(words, kind));
    this.panels = [new Overview(), new Quotas(this.sender), new Queue(), new Upstreams(this.sender), new Batches(), new Requests()];
    this.live = new Live(this.token, (name, data) => this.handle(name, data), (told) => this.tell(told));
    this.connection = "";
    byId("pause").addEventListener("click", () => this.sender.pause(this.store.status?.paused ?? false));
    byId("drain").addEventListener("click", () => this.sender.drain());
    byId("signout").addEventListener("click", () => this.signOut());
    byId("signin-form").addEventListener("submit", (event) => this.signIn(event));
    this.live.open();
  }

  handle(name, data) {
    this.store.handle(name, data);
    if (this.store.status) this.render();
  }

  render() {
    const { status, at } = this.store;
    state(byId("state"), status);
    text(byId("about"), `${status.version} · up ${span(status.up_seconds)} · as of ${time(at)}`);
    text(byId("pause"), status.paused ? "Resume" : "Pause");
    for (const panel of this.panels) panel.render(this.store);
  }

  /** What the connection is like by now. Told once, so that nobody has to hear it every second. */
  tell(told) {
    if (told === this.connection) return;
    const before = this.connection;
    this.connection = told;
    show(byId("signin"), told === "signin");
    if (told === "signin") return this.askToken(before);
    show(byId("signout"), this.token() !== "");
    if (told === "live") {
      show(byId("panels"), true);
      show(byId("actions"), true);
      byId("panels").classList.remove("stale");
      if (before === "lost" || before === "full") this.notify("Connected again.", "good");
      return;
    }
    pill(byId("state"), "bad", "no connection");
    byId("panels").classList.add("stale");
    this.notify(told === "full" ? "Too many dashboards are open: close one." : "The connection is lost: what you see is old. Trying again.", "bad", true);
  }

  askToken(before) {
    sessionStorage.removeItem(TOKEN);
    show(byId("panels"), false);
    show(byId("actions"), false);
    pill(byId("state"), "quiet", "signed out");
    text(byId("about"), "");
    text(byId("signin-error"), before === "trying" ? "That is not the token." : "");
    byId("token").value = "";
    byId("token").focus();
  }

  signIn(event) {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, byId("token").value.trim());
    this.connection = "trying";
    this.live.open();
  }

  /** Starts anew, so that nothing of what was seen is left. */
  signOut() {
    sessionStorage.removeItem(TOKEN);
    location.reload();
  }

  notify(words, kind, stays = false) {
    const notice = byId("notice");
    clearTimeout(this.noticed);
    text(notice, words);
    attribute(notice, "class", `notice ${kind}`);
    if (!stays) this.noticed = setTimeout(() => { text(notice, ""); attribute(notice, "class", "notice"); }, NOTICE_FOR);
  }
}

new App();
