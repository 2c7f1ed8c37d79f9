// What the page is about, in the address: nothing is kept on the server or in the browser.

/** How a text came about: its first ancestor, and each branch as [place from 0, token or null, length, recipe if new]. */
export function history(text, own, most) {
  if (!text) return { ...own, most, put: [] };
  const line = [];
  for (let one = text; one; one = one.from) line.unshift(one);
  const [first, ...branches] = line;
  const put = branches.map((one, i) => [one.shared, one.token, one.tokens.length, ...(one.recipe === line[i].recipe ? [] : [one.recipe])]);
  return { prompt: text.prompt, seed: text.seed, chat: text.chat, wrote: first.recipe, first: first.tokens.length || most, most: text.tokens.length || most, put };
}

/** The state as an address. */
export function written({ model, prompt, chat, wrote, recipe, other, seed, first, most, put, tab, place, colour }) {
  const kept = { v: 1, model, prompt, recipe, seed, n: most, tab, at: place, colour };
  if (chat) kept.chat = true;
  if (other) kept.other = other;
  if (wrote && (wrote !== recipe || put.some((branch) => branch.length > 3))) kept.wrote = wrote; // what wrote the text, if it is not the recipe
  if (put.length) Object.assign(kept, { put, first });
  const text = JSON.stringify(kept);
  const bytes = new TextEncoder().encode(text);
  const base = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  return `${location.origin}/#${base.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The state of an address, or null if it says none, or nonsense. Anybody may have made it: what is no such thing is left out. */
export function read(hash) {
  if (hash.length < 2) return null;
  try {
    const base = hash.slice(1).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base), (c) => c.charCodeAt(0));
    const kept = JSON.parse(new TextDecoder().decode(bytes));
    if (kept.v !== 1 || typeof kept.prompt !== "string" || typeof kept.recipe !== "string") return null;
    const text = (value, otherwise) => (typeof value === "string" ? value : otherwise);
    const count = (value, otherwise) => (Number.isInteger(value) && value >= 0 ? value : otherwise);
    const put = (Array.isArray(kept.put) ? kept.put : []).filter(
      (one) => Array.isArray(one) && count(one[0], null) !== null && (one[1] === null || count(one[1], null) !== null),
    );
    return {
      prompt: kept.prompt,
      recipe: kept.recipe,
      model: text(kept.model, null),
      seed: text(kept.seed, null),
      chat: kept.chat === true,
      wrote: text(kept.wrote, null),
      other: text(kept.other, ""),
      n: count(kept.n, 60),
      first: count(kept.first, null),
      put: put.map(([place, token, length, recipe]) => [place, token, count(length, null), text(recipe, null)]),
      tab: ["why", "compare", "replay", "strip"].includes(kept.tab) ? kept.tab : "why",
      at: count(kept.at, -1),
      colour: text(kept.colour, "plain"),
    };
  } catch {
    return null;
  }
}
