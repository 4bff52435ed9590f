// The page of a real gateway before a stream of our own: what no gateway would say in years, or would take hours to say.

import http from "node:http";

import { call } from "./stage.mjs";

export class Stub {
  /** Serves the page that `admin` serves, under its headers, and `/v1/live` from `this.say`. */
  static async start(admin) {
    const stub = new Stub();
    stub.listeners = new Set();
    stub.first = null;
    stub.server = http.createServer(async (request, answer) => {
      if (request.url === "/v1/live") {
        answer.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
        stub.listeners.add(answer);
        request.on("close", () => stub.listeners.delete(answer));
        if (stub.first) answer.write(stub.first);
        return;
      }
      const { status, headers, body } = await call(`${admin}${request.url}`);
      answer.writeHead(status, { ...headers, "content-length": Buffer.byteLength(body) });
      answer.end(body);
    });
    await new Promise((resolve) => { stub.server.listen(0, "127.0.0.1", resolve); });
    stub.url = `http://127.0.0.1:${stub.server.address().port}`;
    return stub;
  }

  /** What whoever comes is told first. */
  begin(data) {
    this.first = event("full", data);
  }

  /** Waits for those who cannot take more. */
  async say(name, data) {
    const text = event(name, data);
    await Promise.all([...this.listeners].map((answer) => answer.write(text) || new Promise((resolve) => { answer.once("drain", resolve); })));
  }

  end() {
    for (const answer of this.listeners) answer.destroy();
    this.server.close();
  }
}

function event(name, data) {
  return `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
}

/** The first event of a real stream: the form that all of ours have. */
export function first(admin, token) {
  return new Promise((resolve, reject) => {
    const asked = http.get(`${admin}/v1/live`, { headers: token ? { authorization: `Bearer ${token}` } : {} }, (answer) => {
      let text = "";
      answer.on("data", (piece) => {
        text += piece;
        const end = text.indexOf("\n\n");
        if (end < 0) return;
        asked.destroy();
        resolve(JSON.parse(text.slice(0, end).split("\ndata: ")[1]));
      });
    });
    asked.on("error", reject);
  });
}

/** A batch as `paceline run` tells of it. */
export function run(pid, more = {}) {
  const batch = {
    input: "blog-prompts.jsonl", output: "answers.jsonl", total: 12_000, done: 4_210, failed: 3, in_flight: 9, waiting: 2_000, eta_seconds: 3_120,
    binds: "requests/min", requests_per_minute: 149, tokens_per_minute: 31_400, cost_micro_usd: 4_120_000, projected_micro_usd: 11_700_000, budget_micro_usd: 20_000_000, ...more,
  };
  return { pid, paused: false, batch };
}
