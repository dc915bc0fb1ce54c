// Numbers and arrays as a person reads them. Everything is made of text nodes, so no name is ever taken for HTML.

const WORDS = { nan: "nan", inf: "∞", "-inf": "−∞" };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const SVG = "http://www.w3.org/2000/svg";

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Four significant digits, or a whole number in full; words for what is no number.
function short(x) {
  if (typeof x !== "number") return WORDS[x] ?? String(x).replace("-", "−");
  const text = Number.isInteger(x) && Math.abs(x) < 1e6 ? String(x) : String(Number(x.toPrecision(4)));
  return text.replace(/-/g, "−");
}

function count(x) {
  return x.toLocaleString("en", { maximumFractionDigits: 0 });
}

function bytes(x) {
  return x < 10240 ? `${count(x)} B` : x < 10485760 ? `${count(x / 1024)} KiB` : `${count(x / 1048576)} MiB`;
}

// Values of an operation with several results come as a list.
const isArray = (x) => x !== null && typeof x === "object" && !Array.isArray(x);

function shapeOf(array) {
  return array.shape.length === 1 ? `(${array.shape[0]})` : array.shape.join("×");
}

// One line for a node of the graph, an announcement or a tooltip.
function brief(story, x, room = 13) {
  if (x === undefined || x === null) return "";
  if (Array.isArray(x)) return x.map((part) => brief(story, part, room)).join("; ");
  if (!isArray(x)) return short(x);
  const array = story.arrays[x.a];
  const inner = array.rows ? null : `[${array.numbers.map(short).join(" ")}]`;
  return inner && array.shape.length === 1 && inner.length <= room ? inner : shapeOf(array);
}

// A number as text, a small array as a table, a larger one as a heat map.
function view(story, x, kind = "") {
  if (x === undefined || x === null) return make("span", { class: "number" }, "0");
  if (Array.isArray(x)) return make("span", { class: "piece" }, ...x.map((part) => view(story, part, kind)));
  if (!isArray(x)) return make("span", { class: `number ${kind}`, title: String(x) }, short(x));
  const array = story.arrays[x.a];
  const columns = widthOf(array);
  if (!array.numbers.length) return make("span", { class: "number" }, `${shapeOf(array)}, empty`);
  if (!array.rows && array.numbers.length <= 24 && columns <= 6) return table(array, columns, kind);
  return heat(array, columns);
}

// How many numbers stand side by side: those of the last axis, and a long vector folded.
function widthOf(array) {
  if (array.columns) return array.shape.length === 1 ? Math.min(32, array.numbers.length) : array.columns.length;
  if (array.shape.length !== 1) return array.shape[array.shape.length - 1];
  return array.numbers.length <= 6 ? array.numbers.length : Math.min(32, array.numbers.length);
}

function table(array, columns, kind) {
  const rows = [];
  for (let k = 0; k < array.numbers.length; k += columns) {
    rows.push(make("tr", {}, ...array.numbers.slice(k, k + columns).map((x) => make("td", { title: String(x) }, short(x)))));
  }
  return make("table", { class: `array ${kind}` }, make("tbody", {}, ...rows));
}

// Where the kth number that is shown stands in the whole array.
function indexOf(array, k) {
  const last = array.shape[array.shape.length - 1];
  const shown = array.columns ? array.columns.length : last;
  const column = array.columns ? array.columns[k % shown] : k % shown;
  let row = array.rows ? array.rows[Math.floor(k / shown)] : Math.floor(k / shown);
  const index = [column];
  for (let axis = array.shape.length - 2; axis >= 0; axis--) {
    index.unshift(row % array.shape[axis]);
    row = Math.floor(row / array.shape[axis]);
  }
  return index;
}

// Blue below zero and orange above, the darker the larger; a stroke marks the negative ones, which grey would hide.
function heat(array, columns) {
  const cell = 14;
  const rows = Math.ceil(array.numbers.length / columns);
  const finite = array.numbers.filter((x) => typeof x === "number");
  const most = Math.max(1e-300, ...finite.map(Math.abs));
  const svg = draw("svg", { width: columns * cell, height: rows * cell, viewBox: `0 0 ${columns * cell} ${rows * cell}` });
  const sampled = array.rows ? `, ${array.numbers.length} of ${count(array.shape.reduce((a, b) => a * b, 1))} shown` : "";
  const range = array.range && array.range.length ? array.range : [Math.min(...finite), Math.max(...finite)];
  const name = `${shapeOf(array)}${finite.length ? `, ${short(range[0])} to ${short(range[1])}` : ""}${sampled}`;
  const read = make("span", { class: "read" }, name);
  const box = make("span", { class: "heat", tabindex: "0", role: "img", "aria-label": `${name}. Arrow keys read the numbers.` }, svg, read);
  array.numbers.forEach((x, k) => {
    const at = { x: (k % columns) * cell, y: Math.floor(k / columns) * cell, width: cell, height: cell };
    const told = draw("title", {}, `[${indexOf(array, k).join(", ")}] = ${short(x)}`);
    svg.append(draw("rect", { ...at, fill: colour(x, most), stroke: "#8884", "data-k": k }, told));
    if (typeof x === "number" && x < 0) {
      const y = at.y + cell / 2;
      svg.append(draw("path", { d: `M${at.x + 4} ${y}H${at.x + cell - 4}`, stroke: "#fff", "stroke-width": 1.5, "pointer-events": "none" }));
    }
    if (typeof x !== "number") {
      svg.append(draw("path", { d: `M${at.x + 3} ${at.y + 3}l8 8m0-8l-8 8`, stroke: "#d00", "stroke-width": 2, "pointer-events": "none" }));
    }
  });
  let chosen = -1;
  function choose(k) {
    svg.querySelectorAll(".chosen").forEach((old) => old.classList.remove("chosen"));
    chosen = k;
    const rect = svg.querySelector(`[data-k="${k}"]`);
    if (rect) rect.classList.add("chosen");
    read.textContent = k < 0 ? name : `[${indexOf(array, k).join(", ")}] = ${short(array.numbers[k])}`;
    box.setAttribute("aria-label", k < 0 ? name : read.textContent);
  }
  svg.addEventListener("pointermove", (event) => event.target.dataset.k !== undefined && choose(Number(event.target.dataset.k)));
  svg.addEventListener("pointerleave", () => choose(-1));
  box.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    choose(chosen < 0 ? 0 : Math.max(0, Math.min(array.numbers.length - 1, chosen + step)));
  });
  box.addEventListener("blur", () => choose(-1));
  return box;
}

function colour(x, most) {
  if (typeof x !== "number") return "#ffffff";
  const depth = Math.sqrt(Math.min(1, Math.abs(x) / most));
  return `hsl(${x < 0 ? 212 : 24} 75% ${96 - 58 * depth}%)`;
}
