// What the page is about, in the address: nothing is kept on the server or in the browser.

/** The state as an address. forced: places (from 0) and token ids that were put in by hand. */
export function written({ prompt, wrote, recipe, other, seed, most, forced, tab, place, colour }) {
  const kept = { v: 1, prompt, recipe, seed, n: most, tab, at: place, colour };
  if (other) kept.other = other;
  if (wrote && wrote !== recipe) kept.wrote = wrote; // the recipe was changed after it wrote the text
  if (forced?.length) kept.put = forced;
  const text = JSON.stringify(kept);
  const bytes = new TextEncoder().encode(text);
  const base = btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""));
  return `${location.origin}/#${base.replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The state of an address, or null if it says none, or nonsense. */
export function read(hash) {
  if (hash.length < 2) return null;
  try {
    const base = hash.slice(1).replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(base), (c) => c.charCodeAt(0));
    const kept = JSON.parse(new TextDecoder().decode(bytes));
    if (kept.v !== 1 || typeof kept.prompt !== "string" || typeof kept.recipe !== "string") return null;
    return kept;
  } catch {
    return null;
  }
}
