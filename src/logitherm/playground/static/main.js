// The page: one text, a chosen token, and views of both. It draws; the server computes.

import { about as asking, ask, Refused, save, write } from "./api.js";
import { branches, trimmed } from "./branches.js";
import { el, fill, later, roving } from "./dom.js";
import { editor } from "./editor.js";
import { looking, TABS } from "./looking.js";
import * as share from "./share.js";
import { textView } from "./text.js";

const $ = (id) => document.getElementById(id);
const WHY = {
  eos: "■ the model ended it", stop_string: "■ a stop string", context: "■ the context is full", length: "… as many tokens as asked for",
  stopped: "■ stopped", error: "■ it could not go on", lost: "■ the server went away",
};
const LAST = ["eos", "context"]; // after which a text cannot go on

const page = { text: null, place: -1, tab: "why", recipe: "", other: "", writing: null, waiting: 0, texts: new Map() };
const sight = looking(page, { trying, choose, changed: () => redraw(), force: (text, place, token) => branch(text, place, token, most() - place - 1) });
let view, mine;
let complained = false; // whether the notice is about a view that could not be drawn

function notice(text, bad = true) {
  complained = false;
  $("notice").textContent = text;
  $("notice").className = text ? (bad ? "trouble" : "told") : "";
}

/** Run something that asks the server; what it refuses is said on the page. Whether it was done. */
async function trying(work) {
  try {
    await work();
    return true;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    notice(error.message);
    return false;
  }
}

// ---------------------------------------------------------------- writing

/** A text that the server has begun. */
function begun(told, request) {
  const text = { ...told, stop: null, from: page.texts.get(told.parent) ?? null, token: request.token ?? null };
  trimmed(page.texts).set(text.id, text);
  front(text);
  if (text.token !== null) choose(text.shared);
  return text;
}

/** Put a text into the page. */
function front(text) {
  page.text = text;
  page.place = -1;
  view.start(text.chat ? `${text.prompt}\n\n` : text.prompt, text.tokens);
  view.ended(text.stop ? WHY[text.stop] : "");
  view.offer($("colour"), text.recipe);
  drawBranches();
  for (const kind of ["trace", "html"]) $(`save-${kind}`).disabled = false;
}

let turn = 0;
let running = Promise.resolve();

/** Do something with nothing being written: what is, is stopped. Of several that wait, the last is done. */
function alone(work) {
  const own = ++turn;
  page.writing?.abort();
  running = running.catch(() => {}).then(() => (own === turn ? work() : undefined));
  return running;
}

async function run(request) {
  page.writing = new AbortController();
  buttons();
  notice("");
  let text = null;
  let stop = "lost";
  try {
    await write(request, (event) => {
      if (event.text) text = begun(event.text, request);
      else if (event.token) {
        text.tokens.push(event.token);
        view.add(event.token);
        if (page.place < 0) choose(event.token.place);
      } else {
        stop = event.done ?? "error";
        if (event.error) notice(event.error);
      }
    }, page.writing.signal);
  } catch (error) {
    if (error.name === "AbortError") stop = "stopped";
    else if (error instanceof Refused) notice(error.message);
    else throw error;
  } finally {
    page.writing = null;
    if (text) {
      text.stop = stop;
      view.ended(WHY[stop] ?? stop);
      drawBranches();
      if (page.place < 0 && text.tokens.length) choose(text.tokens.length - 1);
      else redraw();
    }
    buttons();
  }
}

function buttons() {
  const busy = page.writing !== null || page.waiting > 0;
  $("go").disabled = busy;
  $("stop").disabled = !page.writing;
  $("more").disabled = busy || !page.text || LAST.includes(page.text.stop);
}

/** How many tokens are asked for; the field then shows what was understood. */
function most() {
  const asked = Number($("most").value || 60);
  $("most").value = Math.max(1, Math.min(1000, Math.round(asked)));
  return Number($("most").value);
}

/** Write with the recipe as it stands, if the server can read it. */
async function writing(request) {
  page.waiting += 1;
  buttons();
  await alone(() =>
    trying(async () => {
      const recipe = await mine.settled();
      if (recipe === null) notice("the recipe cannot be read, so nothing is written: see what is said under it");
      else await run({ ...request, recipe });
    }),
  );
  page.waiting -= 1;
  buttons();
}

function begin(count = most()) {
  const seed = $("seed").value.trim();
  if (seed && !/^\d{1,20}$/.test(seed)) return notice("seed must be a whole number, or empty for a fresh one");
  return writing({ prompt: $("prompt").value, chat: $("chat").checked, seed: seed || null, max_new_tokens: Math.min(1000, count) });
}

/** The same text up to a place, there this token, or null for whatever is drawn, and so many more. */
function branch(text, place, token, more) {
  return writing({ text: text.id, step: place + 1, token, max_new_tokens: Math.max(0, Math.min(1000, more)) });
}

function drawBranches() {
  branches($("branches"), page.texts, page.text, (id) => alone(() => open(id)));
  buttons();
}

function open(id) {
  const text = page.texts.get(id);
  if (!text) return;
  const place = Math.max(0, Math.min(page.place, text.tokens.length - 1));
  front(text);
  if (text.tokens.length) choose(place);
  else redraw();
}

// ---------------------------------------------------------------- looking

function choose(place) {
  page.place = place;
  view.choose(place);
  redraw();
}

/** Draw the view in front; what cannot be drawn is said until it can. */
async function redraw() {
  remember();
  const drawn = await sight.redraw();
  if (drawn && complained) notice("");
  else if (!drawn) complained = true;
}

function show(tab) {
  page.tab = tab;
  for (const button of $("tabs").children) {
    const on = button.dataset.tab === tab;
    button.setAttribute("aria-selected", String(on));
    button.tabIndex = on ? 0 : -1;
  }
  fill($("view"), sight.views[tab]);
  $("view").setAttribute("aria-labelledby", `tab-${tab}`);
  redraw();
}

// ---------------------------------------------------------------- the page

function state() {
  const { text, about, recipe, tab, place } = page;
  const own = { prompt: $("prompt").value, seed: $("seed").value, chat: $("chat").checked };
  return { ...share.history(text, own, Number($("most").value)), model: about.model, recipe, other: page.other, tab, place, colour: $("colour").value };
}

/** The address says what the page shows, so that it is there again after a reload. */
const remember = later(300, () => {
  if (page.text && !page.writing && !page.restoring) history.replaceState(null, "", share.written(state()));
});

/** Make again what an address says: the same tokens, if the model is the same. */
async function restore(kept) {
  page.restoring = true;
  try {
    await alone(() => undefined);
    $("prompt").value = kept.prompt;
    $("seed").value = kept.seed ?? "";
    $("most").value = kept.n;
    $("chat").checked = kept.chat;
    await sight.compareWith(kept.other);
    const read = await mine.take(kept.wrote ?? kept.recipe);
    if (read && kept.seed) await again(kept);
    if (read && kept.wrote) await mine.take(kept.recipe);
  } finally {
    page.restoring = false;
  }
  $("colour").value = kept.colour;
  view.colour($("colour").value || "plain");
  show(kept.tab);
  if (page.text && kept.at >= 0 && kept.at < page.text.tokens.length) choose(kept.at);
  if (kept.model && kept.model !== page.about.model) notice(`this link was made with ${kept.model}, and here is ${page.about.model}: the text is another`);
}

/** Write what somebody wrote before, with all its branches. */
async function again(kept) {
  await begin(kept.first ?? kept.n);
  for (const [place, token, length, recipe] of kept.put) {
    if (recipe && !(await mine.take(recipe))) return;
    const before = page.text;
    if (before) await branch(before, place, token, (length ?? kept.n) - place - (token === null ? 0 : 1));
    if (page.text === before) return; // it was refused, and the page says why
  }
}

function theme(dark) {
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  $("theme").textContent = dark ? "Light" : "Dark";
}

async function link() {
  const address = share.written(state());
  history.replaceState(null, "", address);
  try {
    await navigator.clipboard.writeText(address);
    notice("the link is copied; it holds prompt, recipe and seed, and writes the text again", false);
  } catch {
    notice("the link stands in the address bar; it holds prompt, recipe and seed", false);
  }
}

function listen() {
  $("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme !== "dark"));
  $("go").addEventListener("click", () => begin());
  $("stop").addEventListener("click", () => page.writing?.abort());
  $("more").addEventListener("click", () => branch(page.text, page.text.tokens.length, null, most()));
  $("prompt").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) begin();
  });
  addEventListener("keydown", (event) => event.key === "Escape" && page.writing?.abort());
  $("colour").addEventListener("change", () => (view.colour($("colour").value), remember()));
  $("share").addEventListener("click", link);
  for (const kind of ["trace", "html"]) $(`save-${kind}`).addEventListener("click", () => trying(() => save(kind, page.text.id)));
  addEventListener("hashchange", () => {
    const kept = share.read(location.hash);
    if (kept) trying(() => restore(kept));
  });
}

async function open_() {
  theme(matchMedia("(prefers-color-scheme: dark)").matches);
  const about = await asking();
  page.about = about;
  const size = about.parameters ? `, ${(about.parameters / 1e6).toPrecision(2)} M parameters` : "";
  $("model").textContent = `${about.model}${size}, ${about.vocabulary.toLocaleString("en")} tokens. ${about.about ?? ""}`;
  $("chat").parentNode.hidden = !about.chat;
  view = textView($("text"), $("tip"), choose);
  mine = editor($("recipe"), about, "the recipe", ask, (recipe) => {
    page.recipe = recipe;
    redraw();
  });
  for (const [name, title] of TABS) {
    const button = el("button", { type: "button", role: "tab", id: `tab-${name}`, "aria-controls": "view", onclick: () => show(name) }, title);
    button.dataset.tab = name;
    $("tabs").append(button);
  }
  roving($("tabs"), "[role=tab]", (button) => show(button.dataset.tab));
  view.offer($("colour"), "");
  listen();
  const kept = share.read(location.hash);
  if (kept) await restore(kept);
  else {
    await mine.take(about.presets[0].recipe);
    show("why");
  }
  document.documentElement.dataset.ready = "yes";
}

trying(open_);
