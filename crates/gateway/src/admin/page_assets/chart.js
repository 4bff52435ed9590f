// An hour of one quota as a drawing: its use, its limit, and a mark wherever the provider throttled.

import { attribute, drawn, text } from "./dom.js";
import { counted, number } from "./words.js";

const WIDTH = 360; // A sample a unit.
const HEIGHT = 64;
const ROOM = 6; // Above the highest value, for the marks.

/** An empty chart. */
export function chart() {
  const title = drawn("title");
  const area = drawn("path", { class: "area" });
  const line = drawn("path", { class: "line" });
  const limit = drawn("path", { class: "limit" });
  const marks = drawn("path", { class: "marks" });
  const svg = drawn("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    title, area, line, limit, marks);
  svg.parts = { title, area, line, limit, marks };
  return svg;
}

/** Draws samples, the newest at the right edge; and says the same in words. */
export function draw(svg, what, { used, limit }, throttled) {
  const { title, area, line, limit: limits, marks } = svg.parts;
  const highest = Math.max(1, ...used, ...limit);
  const from = WIDTH - used.length;
  const y = (value) => (HEIGHT - (value / highest) * (HEIGHT - ROOM)).toFixed(1);
  const path = (values) => values.map((value, index) => `${index ? "L" : "M"}${from + index + 0.5} ${y(value)}`).join("");
  const shape = path(used);
  attribute(line, "d", shape);
  attribute(area, "d", used.length ? `${shape}L${WIDTH - 0.5} ${HEIGHT}L${from + 0.5} ${HEIGHT}Z` : "");
  attribute(limits, "d", path(limit));
  const first = WIDTH - throttled.length;
  attribute(marks, "d", throttled.map((count, index) => (count > 0 ? `M${first + index + 0.5} 0V${HEIGHT}` : "")).join(""));
  text(title, words(what, used, limit, throttled));
}

function words(what, used, limit, throttled) {
  if (used.length === 0) return `${what}: no samples yet`;
  const refused = throttled.reduce((sum, count) => sum + count, 0);
  const minutes = Math.max(1, Math.round(used.length / 6));
  return `${what} over the last ${counted(minutes, "minute", "minutes")}: now ${number(used.at(-1))} of ${number(limit.at(-1))}, `
    + `at most ${number(Math.max(...used))}, ${refused === 0 ? "never throttled" : `throttled ${counted(refused, "time", "times")}`}`;
}
