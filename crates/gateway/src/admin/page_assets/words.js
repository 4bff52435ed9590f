// Numbers and states in words that people read.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });

export function number(value) {
  return Math.abs(value) < 100_000 ? whole.format(value) : short.format(value);
}

export function counted(value, one, many) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

/** A span of time, as exact as anybody needs it. */
export function span(seconds) {
  if (seconds === null || seconds === undefined) return "—";
  if (seconds < 0.0005) return "0 ms";
  if (seconds < 0.9995) return `${Math.max(1, Math.round(seconds * 1000))} ms`;
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`;
  if (seconds < 119.5) return `${Math.round(seconds)} s`;
  if (seconds < 7_170) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

export function millis(value) {
  return value === null || value === undefined ? "—" : span(value / 1000);
}

/** Millionths of a dollar; below a dollar with four places, because prompts cost fractions of a cent. */
export function money(micro) {
  if (micro === null || micro === undefined) return "—";
  return `$${(micro / 1e6).toFixed(micro !== 0 && micro < 1e6 ? 4 : 2)}`;
}

export function time(unixMillis) {
  return clock.format(unixMillis);
}

/** What a table of ours says of a name; names come from outside, and may be called anything. */
function known(table, name, otherwise) {
  return Object.hasOwn(table, name) ? table[name] : otherwise;
}

const DIMENSIONS = { requests: "Requests", input_tokens: "Input tokens", output_tokens: "Output tokens", tokens: "Tokens", budget: "Money" };
const WINDOWS = { s: "second", min: "minute", hour: "hour", day: "day" };

export function dimension(name) {
  return known(DIMENSIONS, name, name);
}

export function per(window) {
  return known(WINDOWS, window, window);
}

const BINDS = {
  in_flight: "the limit of requests in flight",
  gate: "a pause that the provider asked for",
  learning: "a limit that is still being found out",
  health: "an upstream that is not well",
};

/** What holds requests back. */
export function bind(name) {
  if (Object.hasOwn(BINDS, name)) return BINDS[name];
  const [counted, window] = name.split("/");
  return `${dimension(counted).toLowerCase()} per ${per(window ?? "")}`;
}

/** Whose limit: the account, and the models it is for. */
export function meter(of) {
  return `${of.account} · ${of.models}`;
}

const HEALTH = { closed: ["good", "well"], open: ["bad", "open"], half_open: ["warn", "probing"], out_of_service: ["bad", "out of service"] };

/** The pill of an upstream. */
export function health(upstream) {
  if (upstream.taken_out) return ["quiet", "taken out"];
  return known(HEALTH, upstream.health, ["quiet", upstream.health]);
}

const OUTCOMES = { done: ["good", "done"], failed: ["bad", "failed"], refused: ["warn", "refused"], left: ["quiet", "caller left"] };

export function outcome(line) {
  return known(OUTCOMES, line.outcome, ["quiet", line.outcome]);
}

const SOURCES = { typed: "a ceiling of yours", reported: "reported by the provider", learned: "learned from refusals" };

/** Where a limit comes from. */
export function source(name) {
  return known(SOURCES, name, name);
}

export function tenant(name) {
  return name === "" ? "(no name)" : name;
}
