// What one step does, in words and numbers; in question mode the numbers are asked for first.

const STRUCTURES = {
  number: "one number", zero: "zero", identity: "the identity", diagonal: "diagonal", permutation: "a permutation",
  selection: "a selection", copy: "copies", sum: "a sum", "outer product": "an outer product", row: "a row",
  column: "a column", matrix: "a matrix",
};

const SAYS = {
  zero: "nothing passes", identity: "passes as it is", permutation: "only moves the numbers", selection: "picks some numbers",
  copy: "copies a number to several places", sum: "adds numbers up",
};

class Cards {
  constructor(story, mode, card, arrow) {
    Object.assign(this, { story, mode, card, arrow });
    this.backward = mode === "reverse";
    this.what = this.backward ? "adjoint" : "tangent";
  }

  // The edges that take part in a step, in the order in which they are dealt with.
  edges(tick) {
    return this.story.edges.map((edge, e) => ({ ...edge, e })).filter((edge) => edge.to === tick.node);
  }

  show(tick, pass, asking, answered) {
    const parts = this[`at_${tick.at}`](tick, pass, asking, answered);
    this.card.replaceChildren(...parts);
    this.card.scrollTop = 0;
  }

  head(text, ...badges) {
    return make("p", { class: "head" }, ...[text].flat(), ...badges.map((badge) => make("span", { class: "badge" }, badge)));
  }

  at_seed(tick, pass) {
    const kind = this.backward ? `The adjoint of ${pass.seed} is set to 1, all others to 0.` : `The tangent of ${pass.seed} is set to 1, all others to 0.`;
    const given = pass.seed.startsWith("the given");
    return [this.head(`Seed of pass ${tick.pass + 1}`), make("p", {}, given ? `The sweep starts from ${pass.seed}.` : kind)];
  }

  at_value(tick) {
    const node = this.story.nodes[tick.node];
    return [
      this.head([make("code", {}, node.code), ", kept on the tape"]),
      this.line(this.piece(`value of ${node.name}`, view(this.story, node.value, "value"))),
    ];
  }

  at_end() {
    const passes = this.story[this.mode].passes;
    const shown = this.story[this.mode].shown.length;
    const more = passes > shown ? ` ${count(passes - shown)} more run likewise.` : "";
    const { work, peak } = this.story[this.mode].total;
    return [
      this.head("Done"),
      make("p", {}, `${count(passes)} ${passes === 1 ? "pass" : "passes"} in all.${more}`),
      make("p", {}, `${count(work)} multiply-adds, at most ${bytes(peak)} alive at once.`),
    ];
  }

  at_step(tick, pass, asking, answered) {
    const node = this.story.nodes[tick.node];
    const badges = [node.pattern].filter(Boolean);
    const found = [this.head([this.backward ? "back through " : "", make("code", {}, node.code)], ...badges)];
    if (node.pattern) found.push(make("p", { class: "said" }, this.story.said[node.pattern]));
    const active = this.edges(tick).filter((edge) => edge.local);
    for (const edge of active) found.push(...this.product(edge, node, tick, pass, asking, answered));
    if (!this.backward) {
      const carried = this.piece(`${this.what} of ${node.name}${active.length > 1 ? ", the sum" : ""}`, view(this.story, pass.carried[tick.node], "carried"));
      found.push(this.line(this.piece(`value of ${node.name}`, view(this.story, node.value, "value")), carried));
    }
    if (!active.length) found.push(make("p", {}, "No derivative flows here."));
    return found;
  }

  // upstream × local = part, and the sum at a shared value.
  product(edge, node, tick, pass, asking, answered) {
    const source = this.story.nodes[edge.from];
    const incoming = this.backward ? pass.carried[tick.node] : pass.carried[edge.from];
    const part = pass.parts[edge.e];
    const whose = this.backward ? node.name : source.name;
    const local = this.piece(`local ∂${node.name}/∂${source.name}: ${STRUCTURES[edge.local.kind]}`, this.localView(edge.local));
    const upstream = this.piece(this.backward ? `upstream, adjoint of ${whose}` : `tangent of ${whose}`, view(this.story, incoming, "carried"));
    const asked = asking && !answered.has(edge.e) ? askedOf(this.story, edge, incoming, part) : null;
    const hide = asked !== null;
    const result = hide
      ? this.question(edge, asked, answered)
      : this.piece(this.backward ? `to ${source.name}` : `part of ${node.name}`, view(this.story, part, "carried"));
    const pieces = this.backward ? [upstream, "×", local] : [local, "×", upstream];
    const lines = [this.line(...pieces, "=", result)];
    const told = answered.get(edge.e);
    if (told) lines.push(make("p", { class: told.right ? "right" : "wrong", role: "status" }, told.text));
    if (pass.sums[edge.e] !== undefined && !hide) {
      lines.push(this.line(make("span", { class: "badge" }, source.shared), this.piece(`so far at ${source.name}`, view(this.story, pass.sums[edge.e], "carried"))));
    }
    return lines;
  }

  localView(local) {
    if (local.numbers !== undefined) return view(this.story, local.numbers);
    const says = SAYS[local.kind] ?? `${count(local.m)} × ${count(local.n)}, never formed`;
    return make("span", { class: "number" }, says);
  }

  question(edge, asked, answered) {
    const input = make("input", { class: "answer", inputmode: "decimal", "aria-label": `your answer${asked.place}` });
    const check = make("button", { type: "button" }, "check");
    const tell = () => {
      if (!input.value.trim()) return;
      answered.set(edge.e, judged(input.value, asked));
      this.answered();
    };
    input.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter") tell();
    });
    check.addEventListener("click", tell);
    return make("span", { class: "equation" }, ...(asked.place ? [make("small", {}, asked.place)] : []), input, check);
  }

  piece(label, content) {
    return make("span", { class: "piece" }, make("small", {}, label), content);
  }

  line(...parts) {
    return make("div", { class: "equation" }, ...parts);
  }

  // The step as a sentence, for those who listen.
  words(tick, pass) {
    if (tick.at === "seed") return `seed of pass ${tick.pass + 1}: ${pass.seed}`;
    if (tick.at === "end") return "done";
    const node = this.story.nodes[tick.node];
    const value = brief(this.story, node.value, 60);
    if (tick.at === "value") return `${node.name} = ${node.op}, value ${value}, kept`;
    const parts = this.edges(tick).filter((edge) => edge.local).map((edge) => {
      const part = brief(this.story, pass.parts[edge.e], 60) || "0";
      return this.backward ? `${part} to ${this.story.nodes[edge.from].name}` : `${part} from ${this.story.nodes[edge.from].name}`;
    });
    const carried = brief(this.story, pass.carried[tick.node], 60) || "0";
    return this.backward
      ? `back through ${node.name} = ${node.op}: upstream ${carried}; ${parts.join(", ")}`
      : `${node.name} = ${node.op}: value ${value}, tangent ${carried}${parts.length > 1 ? `, ${parts.join(", ")}` : ""}`;
  }
}

// What is asked of a product: its number, or of a small array the largest; with the two that make it, where two do.
function askedOf(story, edge, incoming, part) {
  if (typeof part === "number") return { answer: part, incoming, local: edge.local.numbers ?? null, place: "" };
  if (!isArray(part) || (SAYS[edge.local.kind] !== undefined && edge.local.kind !== "identity")) return null;
  if (story.arrays[part.a].rows || story.arrays[part.a].numbers.length > 64) return null;
  const numbers = story.arrays[part.a].numbers;
  const sizes = numbers.map((x) => (typeof x === "number" ? Math.abs(x) : -1));
  const k = sizes.indexOf(Math.max(...sizes));
  if (k < 0 || sizes[k] < 0) return null;
  const at = (x) => (isArray(x) ? story.arrays[x.a].numbers[k] : x);
  const alone = edge.local.kind === "diagonal" || edge.local.kind === "identity";
  const local = edge.local.kind === "identity" ? 1 : alone ? at(edge.local.numbers) : null;
  return { answer: numbers[k], incoming: alone ? at(incoming) : null, local, place: ` at [${indexOf(story.arrays[part.a], k).join(", ")}]`,
    terms: edge.local.kind === "outer product" ? "a product" : "a sum of products" };
}

// Whether an answer is right, and what a wrong one may come from.
function judged(text, { answer, incoming, local, place, terms }) {
  const given = Number(text.trim().replace("−", "-").replace(",", "."));
  const near = (b) => typeof b === "number" && Math.abs(given - b) <= Math.max(0.01 * Math.abs(b), Math.min(0.005, Math.abs(b) / 10));
  const known = typeof incoming === "number" && typeof local === "number";
  const sum = known ? `${short(incoming)} × ${short(local)} = ${short(answer)}` : `it is ${short(answer)}${place}, ${terms}`;
  if (Number.isNaN(given)) return { right: false, text: `“${text}” is no number: ${sum}` };
  if (near(answer)) return { right: true, text: `Right: ${sum}` };
  if (near(-answer)) return { right: false, text: `Only the sign is wrong: ${sum}` };
  if (near(local)) return { right: false, text: `That is the local derivative alone; times what comes in: ${sum}` };
  if (near(incoming)) return { right: false, text: `That is what comes in; times the local derivative: ${sum}` };
  if (known && near(incoming + local)) return { right: false, text: `The chain rule multiplies, it does not add: ${sum}` };
  return { right: false, text: `No: ${sum}` };
}
