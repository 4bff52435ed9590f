// What is known: the latest status, an hour of samples, the requests that ended of late. All of it bounded.

const SAMPLES = 360;
const LINES = 500;

export class Store {
  status = null;
  at = 0;
  times = [];
  meters = new Map();
  lines = [];
  untold = 0;
  runs = [];
  sampled = 0; // Counts samples, so that charts are drawn anew only when there is something new.

  handle(name, data) {
    if (name === "full") this.full(data);
    else if (name === "tick") this.tick(data);
  }

  full({ at_ms, status, history, lines, runs }) {
    this.at = at_ms;
    if (status) this.status = status;
    this.times = history.at_ms.slice(-SAMPLES);
    this.meters = new Map();
    for (const meter of history.meters) {
      const limits = new Map();
      for (const { dimension, window, used, limit } of meter.limits) limits.set(limitKey({ dimension, window }), { used, limit });
      this.meters.set(meterKey(meter), { throttled: meter.throttled, before: null, limits });
    }
    this.lines = lines.slice(-LINES).reverse();
    this.runs = runs ?? [];
    this.untold = 0;
    this.sampled += 1;
    for (const limiter of this.status?.limiters ?? []) {
      const meter = this.meters.get(meterKey(limiter));
      if (meter) meter.before = limiter.throttled;
    }
  }

  tick({ at_ms, status, sampled, lines, untold, runs }) {
    this.at = at_ms;
    this.status = status;
    this.runs = runs ?? [];
    this.untold += untold;
    if (lines.length > 0) this.lines = [...lines.slice().reverse(), ...this.lines].slice(0, LINES);
    if (sampled) this.sample(at_ms, status);
  }

  sample(at, status) {
    push(this.times, at);
    const present = new Set();
    for (const limiter of status.limiters) {
      const key = meterKey(limiter);
      present.add(key);
      if (!this.meters.has(key)) this.meters.set(key, { throttled: [], before: 0, limits: new Map() });
      const meter = this.meters.get(key);
      push(meter.throttled, Math.max(0, limiter.throttled - (meter.before ?? limiter.throttled)));
      meter.before = limiter.throttled;
      for (const limit of limiter.limits) {
        const known = meter.limits.get(limitKey(limit)) ?? { used: [], limit: [] };
        meter.limits.set(limitKey(limit), known);
        push(known.used, limit.used);
        push(known.limit, limit.limit);
      }
    }
    for (const key of this.meters.keys()) if (!present.has(key)) this.meters.delete(key);
    this.sampled += 1;
  }
}

export function meterKey(of) {
  return JSON.stringify([of.account, of.models]);
}

export function limitKey(of) {
  return `${of.dimension}/${of.window}`;
}

function push(samples, sample) {
  samples.push(sample);
  if (samples.length > SAMPLES) samples.shift();
}
