// Who waits, for how long, and who is under way.

import { el, keyed, pill, row, show, table, text } from "./dom.js";
import * as words from "./words.js";

const PRIORITIES = ["interactive", "normal", "batch"];
const CLASSES = ["Class", "Waiting", "Next starts in", "A newcomer waits"];
const TENANTS = ["Tenant", "Interactive", "Normal", "Batch"];
const FLIGHTS = ["Model", "Upstream", "Tenant", "Class", "Attempt", "Waited", "Under way", "Answer"];

export class Queue {
  constructor() {
    this.note = document.getElementById("queue-note");
    this.classes = table("Requests waiting by priority", CLASSES);
    this.tenants = table("Requests waiting by tenant", TENANTS);
    this.heading = el("h3", { text: "By tenant" });
    document.getElementById("queue").append(this.classes.whole, this.heading, this.tenants.whole);
    this.flightsNote = document.getElementById("flights-note");
    this.flights = table("Requests in flight, longest first", FLIGHTS);
    document.getElementById("flights").append(this.flights.whole);
  }

  render({ status }) {
    const waiting = PRIORITIES.reduce((sum, priority) => sum + status.waiting[priority], 0);
    text(this.note, waiting === 0 ? "Nothing waits." : words.counted(waiting, "request waits.", "requests wait."));
    keyed(this.classes.body, PRIORITIES, (name) => name, makeClass, (node, name) => updateClass(node, name, status));
    show(this.heading, status.tenants.length > 0);
    show(this.tenants.whole, status.tenants.length > 0);
    keyed(this.tenants.body, status.tenants, (of) => of.name, makeTenant, updateTenant);
    const shown = status.flights.length;
    text(this.flightsNote, status.in_flight === 0 ? "Nothing is under way."
      : shown < status.in_flight ? `The ${shown} longest of ${words.number(status.in_flight)}.` : "");
    show(this.flights.whole, shown > 0);
    keyed(this.flights.body, status.flights, (flight) => flight.request, makeFlight, updateFlight);
  }
}

function cells(columns, classes = {}) {
  const parts = columns.map((_, index) => el("span", { class: classes[index] ?? null }));
  const node = row(columns, ...parts);
  node.parts = parts;
  return node;
}

function makeClass(name) {
  const node = cells(CLASSES, { 1: "amount", 2: "amount", 3: "amount" });
  text(node.parts[0], name);
  return node;
}

function updateClass({ parts }, name, status) {
  const waiting = status.waiting[name];
  const unknown = waiting === 0 ? "—" : status.paused ? "paused" : "not known";
  text(parts[1], words.number(waiting));
  text(parts[2], status.wait_seconds[name] === null ? unknown : words.span(status.wait_seconds[name]));
  text(parts[3], status.newcomer_wait_seconds[name] === null ? unknown : words.span(status.newcomer_wait_seconds[name]));
}

function makeTenant() {
  return cells(TENANTS, { 1: "amount", 2: "amount", 3: "amount" });
}

function updateTenant({ parts }, tenant) {
  text(parts[0], words.tenant(tenant.name));
  PRIORITIES.forEach((priority, index) => text(parts[index + 1], words.number(tenant.waiting[priority])));
}

function makeFlight() {
  return cells(FLIGHTS, { 4: "amount", 5: "amount", 6: "amount" });
}

function updateFlight({ parts }, flight) {
  text(parts[0], flight.model === "" ? "(none named)" : flight.model);
  text(parts[1], flight.upstream);
  text(parts[2], words.tenant(flight.tenant));
  text(parts[3], flight.priority);
  text(parts[4], String(flight.attempt));
  text(parts[5], words.span(flight.waited_seconds));
  text(parts[6], words.span(flight.age_seconds));
  pill(parts[7], flight.begun ? "good" : "quiet", flight.begun ? "has begun" : "awaited");
}
