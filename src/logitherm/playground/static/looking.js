// Looking at a chosen token: the waterfall, two recipes, another recipe over the whole text, temperatures.

import { ask, latest } from "./api.js";
import { comparison } from "./compare.js";
import { el, fill, later } from "./dom.js";
import { editor } from "./editor.js";
import { replayed } from "./replay.js";
import { strip, TEMPERATURES } from "./strip.js";
import { hint, waterfall } from "./waterfall.js";

export const TABS = [["why", "Why this token"], ["compare", "Compare"], ["replay", "Replay"], ["strip", "Temperatures"]];

/** The views of what `page` shows. `trying` asks the server, `force` puts a token into a text, `choose` goes to another,
 * `changed` hears of another recipe B. */
export function looking(page, { trying, force, choose, changed }) {
  const views = Object.fromEntries(TABS.map(([name]) => [name, el("div", { class: `view ${name}` })]));
  const questions = Object.fromEntries(["step", "limits", "compare", "strip", "replay"].map((name) => [name, latest(name)]));
  const beside = el("div", { class: "second" });
  const compared = el("div", { class: "found" });
  let row = null;
  let other = null;

  /** Draw the view in front, for the chosen token and the recipe as it is now; whether it could be. */
  async function redraw() {
    const root = views[page.tab];
    if (page.text && page.place >= 0) return trying(() => draw[page.tab](root));
    fill(root, el("p", { class: "faint" }, "Write something; then choose a token."));
    return true;
  }

  /** Ask about the chosen token; null if what is in front of the page is another by the time of the answer. */
  async function asked(name, question) {
    const { text, place, tab } = page;
    const found = await questions[name]({ text: text.id, step: place + 1, ...question });
    return page.text === text && page.place === place && page.tab === tab ? found : null;
  }

  async function why(root) {
    const started = performance.now();
    const { text, place, recipe } = page; // what is clicked in a waterfall is about the step it shows, even while another is on its way
    const trace = await asked("step", { recipe });
    if (!trace) return;
    waterfall(root, trace, {
      force: (token) => force(text, place, token),
      hovered: (token, made) => hovered({ text: text.id, step: place + 1, recipe, tokens: [token] }, made),
    });
    if (recipe !== text.recipe) root.prepend(el("p", { class: "told" }, "The recipe is not the one that wrote this text: this is what it makes of the same logits. Write again, or see Replay."));
    performance.measure("redraw", { start: started });
    const slid = performance.getEntriesByName("slid").pop();
    if (slid) requestAnimationFrame(() => performance.measure("slider to waterfall", { start: slid.startTime }));
    performance.clearMarks("slid");
  }

  const hovered = (question, made) => {
    row = made;
    settings(question, made);
  };

  const settings = later(120, async (question, made) => {
    const there = () => made.isConnected && row === made;
    if (!there()) return;
    await trying(async () => {
      const found = await questions.limits(question);
      if (!found || !there()) return;
      hint(views.why, made, found);
    });
  });

  async function compare(root) {
    if (compared.parentNode !== root) fill(root, el("p", { class: "faint" }, "A is the recipe beside the text; B is this one:"), beside, compared);
    if (!other) {
      other = editor(beside, page.about, "recipe B", ask, (recipe) => {
        page.other = recipe;
        changed();
      });
      return other.take(page.other || "temperature(0.8) | top_k(40)");
    }
    if (!page.other) return undefined;
    const { text, place } = page;
    const told = await asked("compare", { recipes: [page.recipe, page.other] });
    if (told) comparison(compared, told, text.tokens[place].id);
    return undefined;
  }

  async function replay(root) {
    if (page.writing) return fill(root, el("p", { class: "faint" }, "The text is being written."));
    const { text, recipe } = page;
    const told = await questions.replay({ text: text.id, recipe });
    if (told && page.text === text && !page.writing) replayed(root, text.tokens, told, choose);
    return undefined;
  }

  async function temperatures(root) {
    const told = await asked("strip", { temperatures: TEMPERATURES });
    if (told) strip(root, told);
  }

  /** Another recipe B, if there is a view of it. */
  async function compareWith(recipe) {
    page.other = recipe;
    if (other && recipe) await other.take(recipe);
  }

  const draw = { why, compare, replay, strip: temperatures };
  return { views, redraw, compareWith };
}
