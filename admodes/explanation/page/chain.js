// The chain of Jacobians: its product with brackets, the block that is being formed, and what every bracketing costs.

class Chain {
  constructor(story, section) {
    this.story = story;
    this.chain = story.chain;
    this.section = section;
    if (!this.chain) return;
    section.hidden = false;
    this.order = 0;
    this.formed = 0;
    const { forward, reverse, optimal } = this.chain.sweeps;
    this.product = make("div", { class: "product", tabindex: "0", role: "group", "aria-label": "The product" });
    this.said = make("p", { role: "status", "aria-live": "polite" });
    this.block = make("div", { class: "block" });
    this.rows = this.chain.orders.map((order, k) => this.row(order, k));
    const back = this.button("One product back", -1, "M17 5v14L6.5 12z");
    const next = this.button("Form the next block", 1, "M7 5v14l10.5-7z");
    const head = make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "bracketing"), make("th", { scope: "col" }, "multiply-adds")));
    section.replaceChildren(
      make("h2", {}, "The chain of Jacobians ", make("small", {}, `${this.chain.orders.length} ways to bracket it`)),
      make("p", {}, `The products alone, matrix-free: by forward sweeps ${count(forward)} multiply-adds, by reverse sweeps ${count(reverse)}, and in the cheapest order of all ${count(optimal)}. With every local Jacobian formed, by bracketing:`),
      make("div", { class: "bracketing" },
        make("div", { class: "orders", tabindex: "0" }, make("table", {}, head, make("tbody", {}, ...this.rows))),
        make("div", { class: "forming" }, make("div", { class: "buttons" }, back, next), this.product, this.said, this.block)),
    );
    this.show();
  }

  button(label, step, path) {
    const button = make("button", { type: "button", "aria-label": label }, draw("svg", { viewBox: "0 0 24 24", "aria-hidden": "true" }, draw("path", { d: path })));
    button.addEventListener("click", () => {
      this.formed = Math.max(0, Math.min(this.chain.orders[this.order].products.length, this.formed + step));
      this.show();
    });
    return button;
  }

  row(order, k) {
    const button = make("button", { type: "button", class: "plain" }, order.text);
    button.addEventListener("click", () => {
      this.order = k;
      this.formed = 0;
      this.show();
    });
    return make("tr", {}, make("td", {}, button), make("td", { class: "number" }, count(order.cost)));
  }

  show() {
    const order = this.chain.orders[this.order];
    const now = order.products[this.formed - 1];
    this.rows.forEach((row, k) => {
      row.classList.toggle("now", k === this.order);
      row.querySelector("button").setAttribute("aria-pressed", String(k === this.order));
    });
    this.product.replaceChildren(...this.tokens(order, now));
    const first = this.chain.factors.reduce((sum, factor) => sum + factor.cost, 0);
    const so = order.products.slice(0, this.formed).reduce((sum, product) => sum + product[3], first);
    if (!now) {
      this.said.textContent = `The local Jacobians take ${count(first)} multiply-adds.`;
      this.block.replaceChildren();
      return;
    }
    const [i, k, j, cost] = now;
    const [left, right] = [this.size(k + 1, j), this.size(i, k)];
    this.said.textContent = `${this.name(k + 1, j)} (${left}) times ${this.name(i, k)} (${right}): ${count(cost)} multiply-adds, ${count(so)} so far.`;
    this.block.replaceChildren(view(this.story, this.chain.blocks[`${i} ${j}`]));
  }

  // Factors from the result to the input, with the brackets of the products around them; the block now formed is marked.
  tokens(order, now) {
    const found = [];
    const whole = this.chain.factors.length - 1;
    for (let f = whole; f >= 0; f--) {
      const spans = order.products.filter(([i, , j]) => !(i === 0 && j === whole));
      const inside = now && f >= now[0] && f <= now[2];
      const formed = order.products.slice(0, this.formed).some(([i, , j]) => f >= i && f <= j);
      const opening = spans.filter(([, , j]) => j === f).length;
      const closing = spans.filter(([i]) => i === f).length;
      const factor = this.chain.factors[f];
      if (opening) found.push(make("span", { class: "bracket" }, "(".repeat(opening)));
      found.push(make("span", { class: `factor ${inside ? "now" : formed ? "formed" : ""}` },
        make("b", {}, `J${subscript(f + 1)}`), make("small", {}, `${factor.m} × ${factor.n}`), make("small", {}, factor.kind)));
      if (closing) found.push(make("span", { class: "bracket" }, ")".repeat(closing)));
    }
    return found;
  }

  name(i, j) {
    let text = "";
    for (let f = j; f >= i; f--) text += `J${subscript(f + 1)}`;
    return text;
  }

  size(i, j) {
    return `${this.chain.factors[j].m} × ${this.chain.factors[i].n}`;
  }
}

function subscript(number) {
  return String(number).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
}
