// Makes and changes elements. Text goes in as text only, so that nothing that was shown can ever run.

const SVG = "http://www.w3.org/2000/svg";

/** An element with attributes (`text` is its text, `on` its listeners) and children. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** The same for a drawing. */
export function drawn(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") node.textContent = value;
    else if (name === "on") for (const [type, listener] of Object.entries(value)) node.addEventListener(type, listener);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** Changes a text where it is another one: what stays is left alone, with whatever is selected in it. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

/** The same for an attribute; `null` takes it away. */
export function attribute(node, name, value) {
  if (value === null) node.removeAttribute(name);
  else if (node.getAttribute(name) !== value) node.setAttribute(name, value);
}

export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/** Shows `items` as children, in their order: one that stays keeps its element, its focus, and its place on the screen. */
export function keyed(parent, items, keyOf, make, update) {
  const known = parent.byKey ?? (parent.byKey = new Map());
  const seen = new Set();
  let at = parent.firstElementChild;
  for (const item of items) {
    const key = keyOf(item);
    if (seen.has(key)) continue;
    seen.add(key);
    let node = known.get(key);
    if (!node) {
      node = make(item);
      known.set(key, node);
    }
    update(node, item);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  for (const [key, node] of known) {
    if (!seen.has(key)) {
      node.remove();
      known.delete(key);
    }
  }
}

/** A pill: a word, and a color that repeats what it says. `kind` is one of ours. */
export function pill(node, kind, word) {
  attribute(node, "class", `pill ${kind}`);
  text(node, word);
}

/** A table with its parts; on narrow screens its cells stand below each other, named by `data-label`. */
export function table(caption, columns) {
  const head = el("tr", { role: "row" }, ...columns.map((name) => el("th", { role: "columnheader", scope: "col", text: name })));
  const body = el("tbody", { role: "rowgroup" });
  const whole = el("table", { role: "table" },
    el("caption", { class: "unseen", text: caption }),
    el("thead", { role: "rowgroup" }, head), body);
  return { whole, body };
}

export function row(columns, ...cells) {
  const made = cells.map((content, index) => {
    const cell = el("td", { role: "cell", "data-label": columns[index] });
    cell.append(content);
    return cell;
  });
  return el("tr", { role: "row" }, ...made);
}
