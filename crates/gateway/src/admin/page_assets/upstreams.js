// The upstreams: how each does, why, and what to do about it; and what was throttled of late.

import { el, keyed, pill, show, text } from "./dom.js";
import * as words from "./words.js";

const THROTTLES = 5;

export class Upstreams {
  constructor(sender) {
    this.sender = sender;
    this.note = document.getElementById("upstreams-note");
    this.list = el("ul", { class: "plain-list upstreams" });
    this.heading = el("h3", { text: "Throttled last" });
    this.throttles = el("ul", { class: "plain-list" });
    document.getElementById("upstreams").append(this.list, this.heading, this.throttles);
  }

  render({ status }) {
    const untold = status.upstreams_untold;
    text(this.note, untold > 0 ? `${untold} more are not shown.` : "");
    const keyOf = (upstream) => JSON.stringify([upstream.name, upstream.credential]);
    keyed(this.list, status.upstreams, keyOf, (upstream) => this.make(upstream), update);
    const last = status.throttles.slice(0, THROTTLES).map((throttle, index) => ({ ...throttle, index }));
    show(this.heading, last.length > 0);
    keyed(this.throttles, last, (throttle) => throttle.index, () => el("li"), (node, throttle) => {
      const wait = throttle.wait_seconds === null ? "" : `, asked to wait ${words.span(throttle.wait_seconds)}`;
      text(node, `${throttle.upstream}: ${throttle.class}, ${words.span(throttle.ago_seconds)} ago${wait}`);
    });
  }

  make(upstream) {
    const parts = { pill: el("span"), reason: el("p", { class: "reason" }), flight: el("span", { class: "muted amount" }) };
    const node = el("li", { class: "upstream" });
    parts.button = el("button", { type: "button", class: "small", on: { click: () => this.sender.service(node.upstream) } });
    const name = el("span", { class: "name", text: upstream.credential ? `${upstream.name} (${upstream.credential})` : upstream.name });
    node.append(el("div", { class: "upstream-head" }, name, parts.pill, parts.flight, parts.button), parts.reason);
    node.parts = parts;
    return node;
  }
}

function update(node, upstream) {
  node.upstream = upstream;
  const { pill: state, reason, flight, button } = node.parts;
  pill(state, ...words.health(upstream));
  text(reason, upstream.reason);
  text(flight, `${words.number(upstream.in_flight)} in flight`);
  const action = upstream.taken_out ? "Put back" : "Take out";
  text(button, action);
  if (button.ariaLabel !== `${action} ${upstream.name}`) button.ariaLabel = `${action} ${upstream.name}`;
}
