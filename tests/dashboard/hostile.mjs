// Text that would run if anything took it for markup or script.

const CALL = "window.executed=1";
const SHAPES = [
  `<script>${CALL}</script>`, `<img src=x onerror=${CALL}>`, `<svg onload=${CALL}>`, `"><script>${CALL}</script>`, `'><img src=x onerror=${CALL}>`,
  `</title><script>${CALL}</script>`, `</style><script>${CALL}</script>`, `</textarea><svg/onload=${CALL}>`, `--><script>${CALL}</script><!--`, `]]><script>${CALL}</script>`,
  `<iframe srcdoc="<script>parent.${CALL}</script>">`, `<a href="javascript:${CALL}">x</a>`, `javascript:${CALL}//`, `<body onload=${CALL}>`, `<details open ontoggle=${CALL}>`,
  `<input autofocus onfocus=${CALL}>`, `<video><source onerror=${CALL}></video>`, `<marquee onstart=${CALL}>`, `<object data="javascript:${CALL}">`, `<math><mi xlink:href="javascript:${CALL}">x</mi></math>`,
  "${" + CALL + "}", "{{constructor.constructor('" + CALL + "')()}}", `\u0022 onmouseover=${CALL} x=\u0022`, `&lt;script&gt;${CALL}&lt;/script&gt;`, `%3Cscript%3E${CALL}%3C/script%3E`,
];
const WRAPS = [(text) => text, (text) => text.toUpperCase().replaceAll("WINDOW.EXECUTED", "window.executed"), (text) => `a\u202e\u0000${text}\n\r`, (text) => `${text}${"A".repeat(300)}`];

/** A hundred of them. */
export const STRINGS = WRAPS.flatMap((wrap) => SHAPES.map(wrap));

/** `value` with each of its texts replaced, and numbers left alone. Words of closed sets are replaced, too. */
export function poisoned(value, text) {
  if (typeof value === "string") return text;
  if (Array.isArray(value)) return value.map((item) => poisoned(item, text));
  if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, poisoned(item, text)]));
  return value;
}
