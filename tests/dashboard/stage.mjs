// The other side of the page: gateways and mocks on ports of their own, and callers.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";

const READY_WITHIN = 20_000;
/** Drawn for these checks; a token must be hard to guess even here. */
export const TOKEN = "check-of-dashboard-d41f8e6a90b27c53";
export const KEY = "sk-ant-check-of-dashboard";
const BINARY = process.env.PACELINE_BIN;

export const sleep = (millis) => new Promise((resolve) => { setTimeout(resolve, millis); });

export async function until(what, holds, within = 10_000) {
  const end = Date.now() + within;
  while (Date.now() < end) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`not within ${within / 1000} s: ${what}`);
}

function freePort() {
  return new Promise((resolve) => {
    const taken = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = taken.address();
      taken.close(() => resolve(port));
    });
  });
}

/** What an HTTP server answers, as seen by no browser: any header may be sent. */
export function call(url, { method = "GET", headers = {}, body = null } = {}) {
  return new Promise((resolve, reject) => {
    const asked = http.request(url, { method, headers, agent: false }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("end", () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces).toString() }));
      answer.on("error", reject);
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

/** Programs of ours, in a folder of their own, stopped by their handles alone. */
export class Stage {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), "dashboard-"));
    this.running = [];
  }

  write(name, text) {
    const file = path.join(this.folder, name);
    fs.writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  launch(name, args, env = {}) {
    const log = fs.openSync(path.join(this.folder, `${name}.log`), "a");
    const environment = { PATH: process.env.PATH, HOME: this.folder, XDG_RUNTIME_DIR: this.folder, LANG: "C.UTF-8", ...env };
    const child = spawn(BINARY, args, { stdio: ["ignore", log, log], env: environment, cwd: this.folder });
    this.running.push(child);
    return child;
  }

  async start(name, args, ready, env = {}) {
    const child = this.launch(name, args, env);
    await until(`${name} is ready\n${this.said(name)}`, async () => {
      if (child.exitCode !== null) throw new Error(`${name} has ended:\n${this.said(name)}`);
      return (await call(ready).catch(() => ({}))).status === 200;
    }, READY_WITHIN);
    return child;
  }

  said(name) {
    return fs.readFileSync(path.join(this.folder, `${name}.log`), "utf8").slice(-4000);
  }

  async mock(name, ...flags) {
    const url = `http://127.0.0.1:${await freePort()}`;
    await this.start(name, ["mock", "--listen", url.slice(7), ...flags], url);
    return url;
  }

  /** A gateway by a configuration; `more` goes into its `[server]`. */
  async gateway(name, { server = "", rest = "" }) {
    const [listen, admin] = [await freePort(), await freePort()].map((port) => `127.0.0.1:${port}`);
    const file = this.write(`${name}.toml`, `[server]\nlisten = "${listen}"\nadmin = "${admin}"\n${server}\n${rest}`);
    const child = await this.start(name, ["serve", "--config", file, "--state", "none"], `http://${admin}/healthz`);
    return { url: `http://${listen}`, admin: `http://${admin}`, child };
  }

  /** A batch that takes a while, in a process of its own with a provider of its own. */
  batch(name, jobs) {
    const prompts = Array.from({ length: jobs }, (_, n) => JSON.stringify({ prompt: `Say something about paceline ${n}.`, max_tokens: 40 }));
    const input = this.write(`${name}.jsonl`, prompts.join("\n"));
    this.launch(name, ["run", input, "-o", `${name}-out.jsonl`, "--mock", "--rpm", "30"]);
  }

  key(name) {
    const { stdout, stderr } = spawnSync(BINARY, ["keys", "new", "--name", name], { encoding: "utf8" });
    return { key: stdout.trim(), hash: stderr.match(/key_hash = "([0-9a-f]{64})"/)[1] };
  }

  async end() {
    for (const child of this.running) if (child.exitCode === null) child.kill("SIGKILL");
    await Promise.all(this.running.map((child) => child.exitCode === null && new Promise((resolve) => { child.once("exit", resolve); })));
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}

/** A message as callers send them. Nobody waits for what comes of it unless he wants to. */
export function ask(url, key, { model = "claude-haiku-4-5", priority = "normal", stream = false, tokens = 60 } = {}) {
  const body = JSON.stringify({ model, max_tokens: tokens, stream, messages: [{ role: "user", content: "Say something about pacelines." }] });
  const headers = { "content-type": "application/json", "anthropic-version": "2023-06-01", "x-api-key": key, "x-paceline-priority": priority };
  return call(`${url}/v1/messages`, { method: "POST", headers, body });
}
