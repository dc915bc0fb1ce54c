// The graph: grouped where it is large, laid out by dagre, drawn as SVG once for each mode.

const WIDTH = 100;
const HEIGHT = 60;
const MOST_SCALE = 1.4; // on a projector
const MOST_NODES = 80; // above so many it opens grouped
const MOST_IN_A_GROUP = 24; // a larger group opens into smaller ones
const MOST_WIRES = 6; // a value with more uses is drawn again beside each
const MOST_TRIED = 120; // above so many boxes one direction is laid out, not both

// Which box each node is drawn in. A group is a list of nodes; opening one shows its nodes, or first smaller groups.
class Grouping {
  constructor(story, by) {
    this.story = story;
    this.by = by;
    this.opened = new Set();
  }

  key(id) {
    const node = this.story.nodes[id];
    if (this.by === "none" || node.kind !== "operation") return null;
    if (this.by === "operation") return node.op;
    return node.place ? `${this.story.sources[node.place[0]].name}, line ${node.place[1]}` : node.op;
  }

  boxes() {
    const whole = new Map();
    const boxes = [];
    this.story.nodes.forEach((_, id) => {
      const key = this.key(id);
      if (key === null) boxes.push({ nodes: [id], name: null });
      else if (whole.has(key)) whole.get(key).push(id);
      else whole.set(key, [id]);
    });
    const open = (name, nodes) => {
      if (nodes.length === 1) boxes.push({ nodes, name: null });
      else if (!this.opened.has(name)) boxes.push({ nodes, name });
      else if (nodes.length <= MOST_IN_A_GROUP) nodes.forEach((id) => boxes.push({ nodes: [id], name: null }));
      else {
        const size = Math.ceil(nodes.length / 12);
        for (let k = 0; k < nodes.length; k += size) {
          open(`${name}, ${k + 1} to ${Math.min(nodes.length, k + size)}`, nodes.slice(k, k + size));
        }
      }
    };
    whole.forEach((nodes, key) => open(key, nodes));
    return boxes.sort((a, b) => a.nodes[0] - b.nodes[0]);
  }
}

// The wires between boxes. What is used in many places would draw wires through the whole graph: it has a copy at each.
function wired(story, boxes) {
  const boxOf = new Map(boxes.flatMap((box, k) => box.nodes.map((id) => [id, k])));
  const targets = boxes.map(() => new Set());
  story.edges.forEach((edge) => targets[boxOf.get(edge.from)].add(boxOf.get(edge.to)));
  const all = [...boxes];
  const wires = [];
  targets.forEach((to, from) => {
    const copied = to.size > MOST_WIRES && !boxes[from].name;
    for (const k of to) {
      if (from === k) continue;
      if (copied) all.push({ ...boxes[from], again: true });
      wires.push([copied ? all.length - 1 : from, k]);
    }
  });
  return { boxes: all, boxOf, wires };
}

// Positions of the boxes, in the direction that leaves the text larger in a frame of this size.
function layout(graph, frame) {
  const wide = frame.width > 1.2 * frame.height ? "LR" : "TB";
  const candidates = (graph.boxes.length > MOST_TRIED ? [wide] : ["LR", "TB"]).map((direction) => {
    const laid = new dagre.graphlib.Graph();
    laid.setGraph({ rankdir: direction, nodesep: 14, ranksep: direction === "LR" ? 24 : 22, marginx: 8, marginy: 8 });
    laid.setDefaultEdgeLabel(() => ({}));
    graph.boxes.forEach((_, k) => laid.setNode(String(k), { width: WIDTH, height: HEIGHT }));
    graph.wires.forEach(([from, to]) => laid.setEdge(String(from), String(to)));
    dagre.layout(laid);
    const { width, height } = laid.graph();
    return { ...graph, laid, width, height, fits: Math.min(MOST_SCALE, frame.width / width, frame.height / height) };
  });
  const best = candidates.reduce((a, b) => (b.fits > a.fits ? b : a));
  return { ...best, scale: Math.max(best.fits, 0.72) }; // smaller is unreadable: then the frame scrolls
}

class Drawing {
  constructor(frame, story, arrow) {
    this.frame = frame;
    this.story = story;
    this.arrow = arrow;
    this.chosen = () => {};
  }

  show(plan) {
    this.boxes = plan.boxes;
    this.boxOf = plan.boxOf;
    const svg = draw("svg", {
      width: plan.width * plan.scale, height: plan.height * plan.scale, viewBox: `0 0 ${plan.width} ${plan.height}`,
    });
    this.wires = new Map();
    plan.laid.edges().forEach((edge) => {
      const points = plan.laid.edge(edge).points;
      const wire = draw("path", { class: "wire", d: curve(points) });
      this.wires.set(`${edge.v} ${edge.w}`, wire);
      svg.append(wire, tip(points));
    });
    this.shapes = plan.boxes.map((box, k) => {
      const at = plan.laid.node(String(k));
      const shape = this.box(box, at.x - WIDTH / 2, at.y - HEIGHT / 2);
      svg.append(shape.element);
      return { ...shape, x: at.x * plan.scale, y: at.y * plan.scale };
    });
    this.frame.replaceChildren(svg);
    this.frame.style.height = `${Math.max(Math.min(plan.height * plan.scale + 16, this.limit), 200)}px`;
  }

  box(box, x, y) {
    const first = this.story.nodes[box.nodes[0]];
    const name = box.name ?? first.name;
    const line = (kind, text, left, top) => draw("text", { class: kind, x: left, y: top }, text);
    const moved = line("moved", "", 8, 53);
    const shown = line("shown", "", 8, 37);
    const sign = box.name ? `${box.nodes.length}×` : (first.sign ?? first.name);
    const called = box.name ? box.name.replace(/^.*?, line/, "line") : first.sign ? first.name : shape(first);
    const element = draw(
      "g",
      { class: `node ${first.kind} ${box.name ? "group" : first.active && !box.again ? "" : "passive"}`, transform: `translate(${x} ${y})`,
        tabindex: "0", role: box.name ? "button" : "img" },
      draw("rect", { width: WIDTH, height: HEIGHT, rx: first.kind === "operation" ? 14 : 3 }),
      line("sign", clipped(sign, 9 - Math.min(5, called.length)), 9, 18), line("called", clipped(called, Math.max(5, 9 - sign.length)), WIDTH - 8, 18),
      shown, moved, draw("title", {}, name),
    );
    const open = () => this.chosen(box);
    element.addEventListener("click", open);
    element.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        event.stopPropagation();
        open();
      }
    });
    return { element, shown, moved, name };
  }

  // What is known after a step: values and what is carried by node, the node of the step, and those beside it.
  mark(known, carried, now, near, hidden) {
    this.boxes.forEach((box, k) => {
      const { element, shown, moved, name } = this.shapes[k];
      const has = box.nodes.filter((id) => known.has(id));
      const id = box.nodes.includes(now) ? now : has[has.length - 1];
      shown.textContent = id !== undefined && known.has(id) ? clipped(brief(this.story, this.story.nodes[id].value), 14) : "";
      const with_ = box.nodes.filter((one) => carried.has(one));
      const one = with_.includes(now) ? now : with_[with_.length - 1];
      const text = one === undefined ? "" : hidden.has(one) ? "?" : brief(this.story, carried.get(one), 11);
      moved.textContent = text && `${this.arrow} ${clipped(text, 12)}`;
      element.classList.toggle("now", box.nodes.includes(now));
      element.classList.toggle("near", box.nodes.some((each) => near.has(each)));
      element.classList.toggle("waiting", !has.length);
      const words = shown.textContent ? `, value ${shown.textContent}` : ", not yet computed";
      element.setAttribute("aria-label", box.name
        ? `${name}: ${box.nodes.length} operations, ${has.length} done. Enter opens them.`
        : `${name}${words}${text ? `, carries ${text}` : ""}`);
    });
    const here = this.boxOf.get(now);
    this.wires.forEach((wire, key) => {
      const [from, to] = key.split(" ");
      wire.classList.toggle("now", Number(to) === here && this.boxes[Number(from)].nodes.some((id) => near.has(id)));
    });
    if (here !== undefined) this.reveal(here);
  }

  // The step's node into the frame, without moving the page.
  reveal(k) {
    const { x, y } = this.shapes[k];
    const frame = this.frame;
    const away = (at, start, size, margin) => at < start + margin || at > start + size - margin;
    if (away(x, frame.scrollLeft, frame.clientWidth, 80)) frame.scrollLeft = x - frame.clientWidth / 2;
    if (away(y, frame.scrollTop, frame.clientHeight, 50)) frame.scrollTop = y - frame.clientHeight / 2;
  }
}

function clipped(text, most) {
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

function shape(node) {
  return node.shape.length ? node.shape.join("×") : "";
}

function curve(points) {
  const [first, ...rest] = points;
  let d = `M${first.x} ${first.y}`;
  for (let k = 0; k + 1 < rest.length; k++) {
    const last = k + 2 === rest.length;
    const end = last ? rest[k + 1] : { x: (rest[k].x + rest[k + 1].x) / 2, y: (rest[k].y + rest[k + 1].y) / 2 };
    d += `Q${rest[k].x} ${rest[k].y} ${end.x} ${end.y}`;
  }
  return rest.length === 1 ? `${d}L${rest[0].x} ${rest[0].y}` : d;
}

function tip(points) {
  const [before, end] = points.slice(-2);
  const angle = (Math.atan2(end.y - before.y, end.x - before.x) * 180) / Math.PI;
  return draw("path", { class: "tip", d: "M0 0L-8 -4L-8 4Z", transform: `translate(${end.x} ${end.y}) rotate(${angle})` });
}
