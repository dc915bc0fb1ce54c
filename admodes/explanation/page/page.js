// The page: one slider for both sweeps, and what each shows at a step.

const story = JSON.parse(document.getElementById("story").textContent);
const find = (id) => document.getElementById(id);
const MODES = ["forward", "reverse"];
const ARROWS = { forward: "→", reverse: "←" };

const sweeps = Object.fromEntries(MODES.map((mode) => {
  const section = find(mode);
  const part = (kind) => section.querySelector(`.${kind}`);
  const sweep = { ...story[mode], section, pass: part("pass"), counts: part("counts"), answered: new Map() };
  sweep.drawing = new Drawing(part("graph"), story, ARROWS[mode]);
  sweep.cards = new Cards(story, mode, part("card"), ARROWS[mode]);
  sweep.cards.answered = () => show(place);
  return [mode, sweep];
}));
const last = Math.max(...MODES.map((mode) => sweeps[mode].ticks.length)) - 1;
let place = 0;
let timer = null;
let grouping = new Grouping(story, "none");

// ---------------------------------------------------------------------------------------------------
// One step
// ---------------------------------------------------------------------------------------------------

function show(to) {
  place = Math.max(0, Math.min(last, to));
  for (const mode of MODES) showSweep(mode);
  find("slider").value = place;
  find("slider").setAttribute("aria-valuetext", `step ${place + 1} of ${last + 1}`);
  find("place").textContent = `step ${place + 1} of ${last + 1}`;
  document.querySelector(".results").classList.toggle("early", place < last);
  showSource();
}

function announce() {
  find("announcement").textContent = `Step ${place + 1} of ${last + 1}. ` + MODES.map((mode) => {
    const { ticks, cards, shown } = sweeps[mode];
    const tick = ticks[Math.min(place, ticks.length - 1)];
    return `${mode === "forward" ? "Forward" : "Reverse"}: ${cards.words(tick, shown[Math.min(tick.pass, shown.length - 1)])}.`;
  }).join(" ") + (place === last ? ` ${story.sentence}` : "");
}

function go(to) {
  show(to);
  announce();
}

function tickOf(mode) {
  const { ticks } = sweeps[mode];
  return ticks[Math.min(place, ticks.length - 1)];
}

function showSweep(mode) {
  const sweep = sweeps[mode];
  const tick = tickOf(mode);
  const pass = sweep.shown[Math.min(tick.pass, sweep.shown.length - 1)];
  const asking = find("asking").checked;
  const answered = answersOf(sweep);
  sweep.pass.textContent = tick.at === "value" ? "values, onto the tape"
    : tick.at === "end" ? "done"
    : `pass ${count(tick.pass + 1)} of ${count(sweep.passes)}: ${mode === "forward" ? "along" : "of"} ${pass.seed}`;
  counted(sweep.counts, tick, sweep.passes);
  const { known, carried, near } = stateOf(mode, tick, pass);
  sweep.drawing.mark(known, carried, tick.node, near, new Set(asking ? hiddenBy(sweep, tick, pass, answered) : []));
  sweep.cards.show(tick, pass, asking, answered);
  showCode(mode, tick);
}

function counted(list, tick, passes) {
  const rows = [
    ["multiply-adds", count(tick.work)], ["passes", `${tick.at === "end" ? count(passes) : count(tick.pass + 1)} of ${count(passes)}`],
    ["memory now", bytes(tick.memory)], ["peak", bytes(tick.peak)],
  ];
  list.replaceChildren(...rows.map(([name, text]) => make("div", {}, make("dt", {}, name), make("dd", {}, text))));
}

// Which values and carried numbers are known after a step, and which nodes take part in it.
function stateOf(mode, tick, pass) {
  const { ticks } = sweeps[mode];
  const known = new Set(story.nodes.flatMap((node, id) => (node.kind === "operation" ? [] : [id])));
  const carried = new Map();
  const at = Math.min(place, ticks.length - 1);
  for (let k = 0; k <= at; k++) {
    const one = ticks[k];
    if (one.at === "value" || (mode === "forward" && one.at === "step" && one.pass === tick.pass)) known.add(one.node);
    if (one.pass !== tick.pass || one.at === "value") continue;
    if (one.at === "seed") seeds(mode, pass).forEach((id) => carried.set(id, pass.carried[id]));
    if (one.at === "step" && mode === "forward" && pass.carried[one.node] !== undefined) carried.set(one.node, pass.carried[one.node]);
    if (one.at === "step" && mode === "reverse") {
      for (const edge of edgesInto(one.node)) {
        const sum = pass.sums[edge.e] ?? pass.parts[edge.e];
        if (sum !== undefined) carried.set(edge.from, several(edge, pass) ?? sum);
      }
    }
    if (one.at === "end") story.nodes.forEach((_, id) => known.add(id));
  }
  if (tick.at === "end") Object.keys(pass.carried).forEach((id) => carried.set(Number(id), pass.carried[id]));
  const near = new Set(edgesInto(tick.node).map((edge) => edge.from));
  return { known, carried, near };
}

// The adjoints of an operation with several results come together.
function several(edge, pass) {
  return Array.isArray(pass.carried[edge.from]) ? pass.carried[edge.from] : undefined;
}

const into = new Map();
story.edges.forEach((edge, e) => {
  if (!into.has(edge.to)) into.set(edge.to, []);
  into.get(edge.to).push({ ...edge, e });
});

function edgesInto(id) {
  return into.get(id) ?? [];
}

function seeds(mode, pass) {
  const ids = mode === "forward" ? story.nodes.map((_, id) => id).filter((id) => story.nodes[id].kind === "input") : story.outputs;
  return ids.filter((id) => pass.carried[id] !== undefined);
}

function answersOf(sweep) {
  if (!sweep.answered.has(place)) sweep.answered.set(place, new Map());
  return sweep.answered.get(place);
}

// Nodes whose number is the answer that is asked for.
function hiddenBy(sweep, tick, pass, answered) {
  if (tick.at !== "step") return [];
  const asked = edgesInto(tick.node).filter((edge) => {
    const incoming = pass.carried[sweep.cards.backward ? tick.node : edge.from];
    return edge.local && !answered.has(edge.e) && askedOf(story, edge, incoming, pass.parts[edge.e]) !== null;
  });
  return asked.flatMap((edge) => (sweep.cards.backward ? [edge.from] : [tick.node]));
}

// ---------------------------------------------------------------------------------------------------
// Results and code
// ---------------------------------------------------------------------------------------------------

// Laid out from the start, so that nothing moves when they appear.
function fillResults() {
  find("sentence").textContent = story.sentence;
  const titles = { forward: "by forward mode", reverse: "by reverse mode" };
  const modes = MODES.filter((mode) => story.results.some((row) => row[mode] !== undefined));
  const head = make("thead", {}, make("tr", {}, make("th", {}), ...modes.map((mode) => make("th", { scope: "col" }, titles[mode]))));
  const rows = story.results.map((row) => make("tr", {}, make("th", { scope: "row" }, row.label),
    ...modes.map((mode) => make("td", { "data-mode": mode }, view(story, row[mode])))));
  find("results").replaceChildren(head, make("tbody", {}, ...rows));
}

function fillCode(box, lines) {
  box.replaceChildren(...lines.map(([step, text]) => make("div", { "data-step": step }, text)));
}

function showCode(mode, tick) {
  const box = find(`${mode}-code`);
  mark(box, [...box.children].filter((line) => Number(line.dataset.step) === tick.lines && tick.at !== "end"));
}

function mark(box, lines) {
  box.querySelectorAll(".now").forEach((line) => line.classList.remove("now"));
  lines.forEach((line) => line.classList.add("now"));
  const first = lines[0];
  if (!first) return;
  const top = first.offsetTop - box.offsetTop;
  if (top < box.scrollTop || top > box.scrollTop + box.clientHeight - 24) box.scrollTop = top - box.clientHeight / 2;
}

function fillSource() {
  const lines = story.sources.flatMap((source, s) => [
    make("div", { class: "from" }, `# ${source.name}`),
    ...source.lines.map((text, k) => make("div", { "data-place": `${s} ${source.first + k}` }, text || " ")),
  ]);
  find("source").replaceChildren(...(lines.length ? lines : [make("div", { class: "from" }, "The source is not available.")]));
}

// The line of each sweep's step, and the expression in it.
function showSource() {
  const box = find("source");
  box.querySelectorAll("mark").forEach((old) => {
    const line = old.parentElement;
    line.textContent = line.textContent;
  });
  const lines = MODES.flatMap((mode) => {
    const node = story.nodes[tickOf(mode).node];
    if (!node || !node.place) return [];
    const [source, number, from, to] = node.place;
    const line = box.querySelector(`[data-place="${source} ${number}"]`);
    if (line && to > from && !line.querySelector("mark")) {
      const text = line.textContent;
      line.replaceChildren(text.slice(0, from), make("mark", {}, text.slice(from, to)), text.slice(to));
    }
    return line ? [line] : [];
  });
  mark(box, lines);
}

// ---------------------------------------------------------------------------------------------------
// The graph, and the controls
// ---------------------------------------------------------------------------------------------------

// Side by side, or, where that makes a wide graph too small to read from the back row, one above the other.
function arranged(graph) {
  const sides = document.querySelector(".sweeps");
  const plans = [false, true].map((rows) => {
    sides.classList.toggle("rows", rows);
    return layout(graph, { width: sweeps.forward.drawing.frame.clientWidth - 4, height: limit(rows) - 20 });
  });
  const rows = window.innerWidth >= 1100 && plans[0].fits < 0.85 && plans[1].fits > 1.1 * plans[0].fits;
  sides.classList.toggle("rows", rows);
  for (const mode of MODES) sweeps[mode].drawing.limit = limit(rows);
  return plans[Number(rows)];
}

function limit(rows) {
  return Math.max(230, Math.round(window.innerHeight * (rows ? 0.34 : 0.46)));
}

function lay() {
  const plan = arranged(wired(story, grouping.boxes()));
  for (const mode of MODES) {
    const { drawing } = sweeps[mode];
    drawing.chosen = (box) => {
      if (box.name) {
        grouping.opened.add(box.name);
        lay();
      } else {
        visit(mode, box.nodes[0]);
      }
    };
    drawing.show(plan);
  }
  show(place);
}

// To the step of a node in a mode, the next one if there are several.
function visit(mode, id) {
  const { ticks } = sweeps[mode];
  const steps = ticks.map((_, k) => k).filter((k) => ticks[k].node === id);
  if (steps.length) go(steps.find((k) => k > place) ?? steps[0]);
}

function group(by) {
  grouping = new Grouping(story, by);
  find("grouping").value = by;
  lay();
}

function play(on) {
  clearInterval(timer);
  timer = on ? setInterval(() => (place < last ? go(place + 1) : play(false)), 1200) : null;
  find("play").setAttribute("aria-label", on ? "Pause" : "Play");
  find("play").setAttribute("aria-pressed", String(on));
}

const KEYS = {
  ArrowRight: () => go(place + 1), ArrowLeft: () => go(place - 1), Home: () => go(0), End: () => go(last),
  " ": () => play(timer === null),
};

document.addEventListener("keydown", (event) => {
  const tag = event.target.tagName;
  if (event.altKey || event.ctrlKey || event.metaKey || !KEYS[event.key]) return;
  if (["INPUT", "SELECT"].includes(tag) || (tag === "BUTTON" && event.key === " ")) return;
  event.preventDefault();
  KEYS[event.key]();
});
find("first").addEventListener("click", () => go(0));
find("back").addEventListener("click", () => go(place - 1));
find("next").addEventListener("click", () => go(place + 1));
find("last").addEventListener("click", () => go(last));
find("play").addEventListener("click", () => play(timer === null));
find("slider").max = last;
find("slider").addEventListener("input", (event) => go(Number(event.target.value)));
find("asking").addEventListener("change", () => show(place));
find("grouping").addEventListener("change", (event) => group(event.target.value));
let width = window.innerWidth;
window.addEventListener("resize", () => {
  if (window.innerWidth !== width) lay(); // a phone's address bar changes the height alone
  width = window.innerWidth;
});

fillSource();
fillResults();
new Chain(story, find("chain"));
for (const mode of MODES) fillCode(find(`${mode}-code`), story[mode].code);
group(story.nodes.length <= MOST_NODES ? "none" : story.sources.length ? "line" : "operation");
