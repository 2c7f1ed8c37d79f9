// Questions to the server. All answers come from the Python sampler; the page computes no probability.

/** What the server did not like, in its own words. `recipe`: whether it is the recipe. */
export class Refused extends Error {
  constructor(words, recipe = false) {
    super(words);
    this.recipe = recipe;
  }
}

const GONE = "the server does not answer; is `logitherm play` still running?";

async function asked(name, data, signal) {
  let response;
  try {
    response = await fetch(`/api/${name}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(data),
      signal,
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(GONE);
  }
  return allowed(response);
}

/** One question, one answer. */
export async function ask(name, data, signal) {
  const answer = await read(await asked(name, data, signal));
  if (answer.wrong) throw new Refused(answer.wrong, true);
  return answer;
}

/** What the page needs to know first. */
export async function about() {
  return read(await got("/api/about"));
}

/** A text as a file. */
export async function save(kind, text) {
  const response = await got(`/api/save/${kind}/${encodeURIComponent(text)}`);
  if (json(response)) throw new Refused((await read(response)).wrong, true);
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: `text.${kind}` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // the browser has read it by then
}

/** What an answer says, if the server lived to end it. */
async function read(response) {
  try {
    return await response.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused(GONE);
  }
}

function json(response) {
  return (response.headers.get("content-type") ?? "").startsWith("application/json");
}

async function got(path) {
  let response;
  try {
    response = await fetch(path);
  } catch {
    throw new Refused(GONE);
  }
  return allowed(response);
}

/** An answer, if it is one. */
async function allowed(response) {
  if (response.ok) return response;
  throw new Refused((json(response) && (await read(response)).error) || `the server answered ${response.status}`);
}

/** Write: `each` gets every event as it comes. Refused if the server ends in the middle. */
export async function write(data, each, signal) {
  const response = await asked("write", data, signal);
  if (json(response)) throw new Refused((await read(response)).wrong, true);
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let ended = false;
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(`${GONE} It ended in the middle of the text.`);
    }
    const { done, value } = part;
    rest += decoder.decode(value ?? new Uint8Array(), { stream: !done });
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      ended ||= "done" in event || "error" in event;
      each(event);
    }
    if (done) break;
  }
  if (!ended) throw new Refused(`${GONE} It ended in the middle of the text.`);
}

/** The latest question of a kind counts; those before it are given up. */
export function latest(name) {
  let last = null;
  return async (data) => {
    last?.abort();
    const own = (last = new AbortController());
    try {
      return await ask(name, data, own.signal);
    } catch (error) {
      if (error.name === "AbortError") return null;
      throw error;
    }
  };
}
