"use strict";
// Shows the events of a lesson. Nothing is fetched but from the program that sent this page.
const token = new URLSearchParams(location.search).get("token");
const at = (id) => document.getElementById(id);
const names = ["layers", "flow", "merge", "split", "naive", "empty", "frame", "udp", "server", "cures",
  "framings", "notes", "wireshark"];
let language = document.documentElement.lang;
const following = document.body.dataset.role === "follow";
let stream = null, trial = null, timer = 0, right = 0, asked = 0, current = "", attempted = -1000;

function translate() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-en]"))
    one.textContent = one.dataset[language];
}

function address(path, values) {
  return path + "?" + new URLSearchParams({ ...values, lang: language, token });
}

function show(target, html) {
  const part = document.createElement("div");
  part.innerHTML = html;
  target.append(part);
  enliven(part);
  return part;
}

// The lecturer's answers open the results on all pages of the class.
function open(count) {
  if (document.body.dataset.role === "drive") fetch(address("/open", { count }));
}

// What follows a question goes into a folded part, which opens when the question is answered.
function ask(target, html) {
  const question = show(target, html).firstElementChild;
  const result = document.createElement("div");
  result.hidden = true;
  result.className = "result";
  target.append(result);
  for (const button of question.querySelectorAll("button"))
    button.addEventListener("click", () => {
      const wanted = question.dataset.right;
      for (const other of question.querySelectorAll("button")) {
        other.disabled = true;
        if (other.value === wanted) other.classList.add("right");
      }
      if (button.value !== wanted) button.classList.add("wrong");
      right += button.value === wanted ? 1 : 0;
      asked += 1;
      at("score").textContent = right + " / " + asked;
      question.querySelector(".why").hidden = false;
      result.hidden = following;
      open(asked);
      result.tabIndex = -1;
      result.focus({ preventScroll: true });
    });
  return result;
}

function listen(values, target) {
  const source = new EventSource(address("/events", values));
  let place = target;
  let isFirst = true;
  source.addEventListener("message", (event) => {
    if (isFirst) target.replaceChildren();
    isFirst = false;
    const { kind, html } = JSON.parse(event.data);
    if (kind === "question") place = ask(place, html);
    else show(place, html);
  });
  source.addEventListener("over", () => {
    source.close();
    if (isFirst) refuse(target);
    target.dataset.state = isFirst ? "failed" : "over";
  });
  source.addEventListener("error", () => { source.close(); target.dataset.state = "failed"; });
  target.dataset.state = "running";
  return source;
}

// The program has refused the numbers, so there is nothing to be drawn.
function refuse(target) {
  const text = language === "zh" ? "这些数字不行：1 到 16 条消息，每条 1 到 65536 字节。"
    : "These numbers are refused: 1 to 16 messages of 1 to 65536 bytes each.";
  target.replaceChildren(Object.assign(document.createElement("p"),
    { className: "refused", textContent: text }));
}

function start(name) {
  current = name;
  if (stream) stream.close();
  right = asked = 0;
  at("score").textContent = "";
  for (const button of at("lessons").children)
    button.toggleAttribute("aria-current", button.textContent === name);
  stream = listen({ lesson: name }, at("lesson"));
}

function attempt() {
  attempted = performance.now();
  const values = { lesson: "try" };
  let command = "frsh-demo try";
  for (const field of at("sandbox").elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") {
      if (!field.checked) continue;
      values[field.name] = "1";
      command += " --" + field.name;
      continue;
    }
    values[field.name] = field.value;
    const text = field.name === "send" ? "'" + field.value + "'" : field.value;
    command += " --" + field.name + " " + text;
    const output = field.parentElement.querySelector("output");
    if (output) output.textContent = field.value;
  }
  at("command").textContent = command;
  at("copied").textContent = "";
  if (trial) trial.close();
  trial = listen(values, at("tried"));
}

for (const name of names) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = name;
  button.addEventListener("click", () => start(name));
  at("lessons").append(button);
}
at("language").addEventListener("click", () => {
  language = language === "zh" ? "en" : "zh";
  translate();
  if (following) return;
  attempt();
  if (current) start(current);
});
// A change runs at once. While a slider is drawn, there is one run in a tenth of a second.
at("sandbox").addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(attempt, Math.max(0, attempted + 100 - performance.now()));
});
at("sandbox").addEventListener("submit", (event) => event.preventDefault());
at("copy").addEventListener("click", async () => {
  // Where the browser refuses its clipboard, the line is selected, for Ctrl-C.
  try {
    await navigator.clipboard.writeText(at("command").textContent);
    at("copied").textContent = language === "zh" ? "已复制" : "copied";
  } catch {
    getSelection().selectAllChildren(at("command"));
    at("copied").textContent = language === "zh" ? "已选中，按 Ctrl-C" : "selected: press Ctrl-C";
  }
});

// Polls what the lecturer runs, and shows it as far as it is opened.
async function follow() {
  const answer = await fetch(address("/follow", { run: followed.run, since: followed.since }));
  const state = await answer.json();
  const target = at("lesson");
  if (state.run !== followed.run) {
    Object.assign(followed, { run: state.run, since: 0, place: target });
    target.replaceChildren();
  }
  for (const { kind, html } of state.lines)
    if (kind === "question") followed.place = ask(followed.place, html);
    else show(followed.place, html);
  followed.since += state.lines.length;
  [...target.querySelectorAll(".result")].forEach((one, index) => {
    one.hidden = index >= state.opened;
    if (!one.hidden) one.previousElementSibling.querySelector(".why").hidden = false;
  });
}
const followed = { run: 0, since: 0, place: at("lesson") };

// On a projector the arrow keys go from part to part.
function turn(event) {
  const step = { ArrowRight: 1, ArrowDown: 1, PageDown: 1, ArrowLeft: -1, ArrowUp: -1, PageUp: -1 }[event.key];
  if (!step || event.defaultPrevented || event.target.closest("input, select, button")) return;
  const parts = [...document.querySelectorAll("h1, h2, .ask")].filter((one) => one.offsetParent);
  const tops = parts.map((one) => one.getBoundingClientRect().top);
  const next = step > 0 ? tops.findIndex((top) => top > 60) : tops.findLastIndex((top) => top < 0);
  if (next < 0) return;
  event.preventDefault();
  window.scrollBy({ top: tops[next] - 30 });
}
if (new URLSearchParams(location.search).has("present")) {
  document.documentElement.classList.add("present");
  document.addEventListener("keydown", turn);
}
translate();
if (following) setInterval(() => follow().catch(() => {}), 700);
else attempt();
fetch(address("/request", {})).then(async (answer) => {
  const body = await answer.text();
  at("request").textContent = body.replace(/token=[0-9a-f]+/g, "token=…") + "\\r\\n\n\nHTTP/1.1 200 OK\n" +
    "Content-Length: " + answer.headers.get("Content-Length") + "\n\\r\\n";
});
