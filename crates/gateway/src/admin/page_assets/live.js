// The live stream: read with fetch, because it carries the token in a header, which an EventSource cannot.

const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 5_000;
// A stream that says nothing for so long is dead, whatever the socket thinks.
const LONGEST_SILENCE = 6_000;
// Nobody sees a hidden tab. Browsers open six connections to a host, for all tabs together: one that is unseen lets go.
const HIDDEN_FOR = 5_000;
// More than any event is: whoever sends this is not our gateway.
const LONGEST_EVENT = 16 << 20;

/** Calls `handle(event)` for each event and `tell(state)` when the connection changes: "live", "lost", "signin", "full". */
export class Live {
  constructor(token, handle, tell) {
    this.token = token;
    this.handle = handle;
    this.tell = tell;
    this.pause = FIRST_PAUSE;
    document.addEventListener("visibilitychange", () => this.look());
  }

  open() {
    this.close();
    this.stop = new AbortController();
    this.run(this.stop);
  }

  close() {
    clearTimeout(this.again);
    this.stop?.abort();
    this.stop = null;
  }

  look() {
    clearTimeout(this.unseen);
    if (document.hidden) this.unseen = setTimeout(() => this.close(), HIDDEN_FOR);
    else if (!this.stop && this.wanted) this.open();
  }

  async run(stop) {
    this.wanted = true;
    let state = "lost";
    try {
      const headers = this.token() ? { authorization: `Bearer ${this.token()}` } : {};
      const response = await fetch("/v1/live", { headers, signal: stop.signal, cache: "no-store" });
      if (response.status === 401) state = "signin";
      else if (response.status === 503) state = "full";
      else if (response.ok) await this.read(response.body.getReader(), stop);
    } catch {
      // Whatever ended it, the connection is lost.
    }
    if (this.stop !== stop) return;
    this.stop = null;
    this.tell(state);
    if (state === "signin") {
      this.wanted = false;
      return;
    }
    this.again = setTimeout(() => this.open(), this.pause);
    this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
  }

  async read(reader, stop) {
    const decoder = new TextDecoder();
    let rest = "";
    let silence = 0;
    const listen = () => {
      clearTimeout(silence);
      silence = setTimeout(() => stop.abort(), LONGEST_SILENCE);
    };
    try {
      for (;;) {
        listen();
        const { value, done } = await reader.read();
        if (done) return;
        rest = this.take(rest + decoder.decode(value, { stream: true }));
        if (rest.length > LONGEST_EVENT) return;
      }
    } finally {
      clearTimeout(silence);
    }
  }

  take(buffered) {
    const events = buffered.split("\n\n");
    const rest = events.pop();
    for (const event of events) {
      const parsed = parse(event);
      if (!parsed) continue;
      this.pause = FIRST_PAUSE;
      this.tell("live");
      this.handle(parsed.name, parsed.data);
    }
    return rest;
  }
}

function parse(event) {
  const [first, second] = event.split("\n");
  if (!first?.startsWith("event: ") || !second?.startsWith("data: ")) return null;
  return { name: first.slice(7), data: JSON.parse(second.slice(6)) };
}
