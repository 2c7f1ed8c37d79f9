// The recipe's editor as a widget.

import { Refused } from "../../playground/static/api.js";
import { editor } from "../../playground/static/editor.js";
import { asking, place } from "./live.js";

function render({ model, el: host }) {
  const [root, undress] = place(host);
  const [ask, hush] = asking(model);
  root.className = "second";
  let next = null;
  let busy = false;

  /** One change at a time: while the kernel draws what follows from one, only the last of those after it is kept. */
  async function changed(recipe) {
    next = recipe;
    if (busy) return;
    busy = true;
    let taken = null;
    try {
      while (next !== null) {
        const told = next;
        next = null;
        taken = await ask("recipe", { recipe: told, take: true });
      }
    } catch (error) {
      if (!(error instanceof Refused)) throw error; // the editor's own question says what is wrong
    } finally {
      busy = false;
    }
    if (taken !== null && taken !== model.get("recipe")) hear(); // somebody set another meanwhile
  }

  const own = editor(root, model.get("_offered"), "the recipe", ask, changed);
  const hear = () => own.take(model.get("recipe"), { heard: true });
  const follow = () => busy || hear();
  model.on("change:recipe", follow);
  hear();
  return () => {
    model.off("change:recipe", follow);
    undress();
    hush();
  };
}

export default { render };
