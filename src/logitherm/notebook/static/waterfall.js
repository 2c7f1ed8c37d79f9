// The waterfall as a widget.

import { Refused } from "../../playground/static/api.js";
import { el, fill, later } from "../../playground/static/dom.js";
import { hint, waterfall } from "../../playground/static/waterfall.js";
import { asking, place } from "./live.js";

function render({ model, el: host }) {
  const [root, undress] = place(host);
  const [ask, hush] = asking(model);
  const recipe = el("p", { class: "told code" });
  const wrong = el("p", { class: "trouble", role: "alert" });
  const view = el("div");
  root.append(recipe, wrong, view);

  const asked = later(120, async (token, row) => {
    try {
      const found = await ask("limits", { token });
      if (row.isConnected) hint(view, row, found);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      wrong.textContent = error.message;
    }
  });

  const draw = () => waterfall(view, model.get("_told"), { hovered: asked });
  const say = () => {
    recipe.textContent = model.get("recipe");
    wrong.textContent = model.get("_wrong");
  };
  model.on("change:_told", draw);
  model.on("change:_wrong", say);
  model.on("change:recipe", say);
  draw();
  say();
  return () => {
    model.off("change:_told", draw);
    model.off("change:_wrong", say);
    model.off("change:recipe", say);
    undress();
    hush();
  };
}

export default { render };
