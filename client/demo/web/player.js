"use strict";
// Lights the bytes of a captured packet, and replays how the bytes of a ribbon went, in recorded
// time. The position of every byte follows from the time alone, so that going back is as exact as
// going on.
const stages = [["sender", "发送方"], ["send buffer", "发送缓冲区"], ["wire", "线路"],
  ["receive buffer", "接收缓冲区"], ["reader", "接收方"]];
const flight = 0.25;  // Milliseconds: a packet is drawn on the wire for at most so long.
const still = matchMedia("(prefers-reduced-motion: reduce)");
const say = (en, zh) => (document.documentElement.lang === "zh" ? zh : en);

function make(name, properties, ...children) {
  const one = Object.assign(document.createElement(name), properties);
  one.append(...children);
  return one;
}

// Finds the drawing that contains the bytes of the packet: the next one after it, or any.
function drawingOf(packet) {
  const { flow, begin, end } = packet.dataset;
  const all = [...document.querySelectorAll("figure[data-flow]")].filter((one) => {
    const first = Number(one.dataset.base);
    const size = one.querySelectorAll("text.byte").length * Number(one.dataset.cell);
    return one.dataset.flow === flow && begin < first + size && end > first &&
      one.closest("#tried, #lesson") === packet.closest("#tried, #lesson");
  });
  return all.find((one) => packet.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) ||
    all[0];
}

function light(packet) {
  const was = packet.getAttribute("aria-pressed") === "true";
  for (const one of document.querySelectorAll("rect.lit")) one.remove();
  for (const one of document.querySelectorAll(".packet[aria-pressed]"))
    one.setAttribute("aria-pressed", "false");
  const figure = was ? null : drawingOf(packet);
  if (!figure) return;
  packet.setAttribute("aria-pressed", "true");
  const cell = Number(figure.dataset.cell);
  const from = Number(packet.dataset.begin) - Number(figure.dataset.base);
  const to = Number(packet.dataset.end) - Number(figure.dataset.base);
  [...figure.querySelectorAll("text.byte")].forEach((text, index) => {
    if ((index + 1) * cell <= from || index * cell >= to) return;
    const mark = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const place = { x: text.getAttribute("x") - 7, y: text.getAttribute("y") - 17, width: 14,
      height: 24, rx: 3, class: "lit" };
    for (const [name, value] of Object.entries(place)) mark.setAttribute(name, value);
    text.before(mark);
  });
  figure.scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
}

// Returns where the bytes are at a time. `next` is the number of moments that have passed.
function stateAt(moments, time) {
  const state = { sent: 0, out: 0, confirmed: 0, arrived: 0, taken: 0, flying: [], next: 0 };
  for (const one of moments) {
    if (one.at > time) break;
    state.next += 1;
    if (one.kind === "s") state.sent = one.end;
    if (one.kind === "a") state.confirmed = Math.max(state.confirmed, one.end);
    if (one.kind === "r") state.taken = one.end;
    if (one.kind !== "p") continue;
    state.out = Math.max(state.out, one.end);
    if (time < one.lands) state.flying.push({ ...one, way: (time - one.at) / (one.lands - one.at) });
    else state.arrived = Math.max(state.arrived, one.end);
  }
  return state;
}

function readMoments(figure) {
  const moments = figure.dataset.moments.split(";").filter(Boolean).map((text) => {
    const [kind, at, begin, end] = text.split(" ");
    return { kind, at: Number(at), begin: Number(begin), end: Number(end) };
  });
  // A packet has landed when its ACK leaves or its bytes are read.
  moments.forEach((one, index) => {
    if (one.kind !== "p") return;
    const sign = moments.find((later, place) => place > index && (later.kind === "a" ||
      later.kind === "r") && later.end > one.begin);
    one.lands = Math.min(one.at + flight, sign ? sign.at : Infinity);
  });
  return moments;
}

function readPieces(figure) {
  let begin = 0;
  return figure.dataset.pieces.split(";").filter(Boolean).map((text) => {
    const [, colour, size, name] = text.match(/^(\d+) (\d+) (.*)$/);
    const piece = { colour, name, begin, end: begin + Number(size) };
    begin = piece.end;
    return piece;
  });
}

function described(moment) {
  const size = moment.end - moment.begin;
  if (moment.kind === "s") return say(`send puts ${size} bytes in`, `send 放入 ${size} 字节`);
  if (moment.kind === "p") return say(`a packet leaves with ${size} bytes`, `发出一个报文，${size} 字节`);
  if (moment.kind === "a")
    return say(`an ACK confirms the first ${moment.end} bytes`, `ACK 确认了前 ${moment.end} 字节`);
  return say(`recv takes ${size} bytes`, `recv 取走 ${size} 字节`);
}

class Player {
  constructor(figure) {
    this.moments = readMoments(figure);
    this.pieces = readPieces(figure);
    this.total = this.pieces.at(-1).end;
    this.last = this.moments.at(-1).at + flight;
    this.time = 0;
    this.timer = 0;
    this.build();
    figure.append(this.root);
    this.draw();
  }

  build() {
    const button = (text, act) => {
      const one = make("button", { type: "button", textContent: text });
      one.addEventListener("click", act);
      return one;
    };
    this.play = button(say("play", "播放"), () => this.toggle());
    this.slower = make("select", {}, ...[100, 1000, 10000].map((factor) => make("option",
      { value: factor, selected: factor === 1000, textContent: factor + "×" })));
    this.seek = make("input", { type: "range", min: 0, max: 1000, value: 0 });
    this.seek.setAttribute("aria-label", say("time", "时间"));
    this.seek.addEventListener("input", () => {
      this.pause();
      this.go(this.seek.value / 1000 * this.last);
    });
    this.clock = make("output", { className: "clock" });
    this.status = make("p", { className: "what" });
    this.status.setAttribute("role", "status");
    this.boxes = stages.map(() => make("div", { className: "bytes" }));
    const lanes = make("div", { className: "stages" }, ...stages.map(([en, zh], index) =>
      make("div", {}, make("b", { textContent: say(en, zh) }), this.boxes[index])));
    const label = make("label", {}, say("slower", "放慢"), this.slower);
    this.root = make("div", { className: "player", tabIndex: 0 }, lanes, make("div",
      { className: "controls" }, button(say("back", "后退"), () => this.step(-1)), this.play,
      button(say("step", "一步"), () => this.step(1)), this.seek, this.clock, label), this.status);
    this.root.setAttribute("role", "group");
    this.root.setAttribute("aria-label", say("Replay in recorded time", "按记录的时间重放"));
    this.root.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.target !== this.root) return;
    if (event.key === " ") this.toggle();
    else if (event.key === "ArrowRight") this.step(1);
    else if (event.key === "ArrowLeft") this.step(-1);
    else if (event.key === "Home") this.go(0);
    else return;
    event.preventDefault();
  }

  toggle() {
    if (this.timer) {
      this.pause();
      return;
    }
    if (this.time >= this.last) this.time = 0;
    this.play.textContent = say("pause", "暂停");
    // Nothing glides for a reader who wants no motion: the replay steps once a second.
    if (still.matches) {
      this.timer = setInterval(() => {
        this.step(1, true);
        if (this.time >= this.last || !this.root.isConnected) this.pause();
      }, 1000);
      return;
    }
    let before = performance.now();
    const turn = (now) => {
      if (!this.root.isConnected) return;
      this.go(this.time + (now - before) / Number(this.slower.value));
      before = now;
      if (this.time >= this.last) this.pause();
      else this.timer = requestAnimationFrame(turn);
    };
    this.timer = requestAnimationFrame(turn);
  }

  pause() {
    cancelAnimationFrame(this.timer);
    clearInterval(this.timer);
    this.timer = 0;
    this.play.textContent = say("play", "播放");
  }

  // Goes to the next or the previous moment, or to the end.
  step(way, isPlaying) {
    if (!isPlaying) this.pause();
    const times = [...new Set([0, ...this.moments.map((one) => one.at), this.last])];
    const to = way > 0 ? times.find((one) => one > this.time) : times.findLast((one) => one < this.time);
    this.go(to === undefined ? this.time : to);
  }

  go(time) {
    this.time = Math.max(0, Math.min(time, this.last));
    this.draw();
  }

  chips(begin, end, isPale) {
    return this.pieces.filter((one) => one.begin < end && one.end > begin).map((one) => {
      const size = Math.min(one.end, end) - Math.max(one.begin, begin);
      const chip = make("span", { textContent: `${one.name}: ${size}` });
      chip.className = `chip b${one.colour}${isPale ? " pale" : ""}`;
      return chip;
    });
  }

  draw() {
    const now = stateAt(this.moments, this.time);
    const arrived = Math.max(now.arrived, now.taken);
    const wire = now.flying.map((one) => {
      const token = make("span", { className: "token" }, ...this.chips(one.begin, one.end));
      token.style.setProperty("--way", still.matches ? 0.5 : one.way);
      return token;
    });
    // The send buffer keeps a copy of what has left until it is confirmed: pale.
    const kept = [...this.chips(now.confirmed, now.out, true), ...this.chips(now.out, now.sent)];
    const inside = [this.chips(now.sent, this.total), kept, wire, this.chips(now.taken, arrived),
      this.chips(0, now.taken)];
    this.boxes.forEach((box, index) => box.replaceChildren(...inside[index]));
    this.clock.textContent = this.time.toFixed(3) + " ms";
    this.seek.value = this.time / this.last * 1000;
    const text = now.next === 0 ? "" : described(this.moments[now.next - 1]);
    if (this.status.textContent !== text) this.status.textContent = text;
  }
}

// Makes what was shown answer to the mouse and the keyboard.
function enliven(part) {
  for (const packet of part.querySelectorAll(".packet[data-begin]")) {
    packet.tabIndex = 0;
    packet.setAttribute("role", "button");
    packet.setAttribute("aria-pressed", "false");
    packet.title = say("show its bytes in the stream", "在字节流里显示它的字节");
    packet.addEventListener("click", () => light(packet));
    packet.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      light(packet);
    });
  }
  for (const figure of part.querySelectorAll("figure")) {
    // A drawing wider than its frame is scrolled, by the keyboard too.
    figure.tabIndex = 0;
    if (figure.dataset.moments) new Player(figure);
  }
}
