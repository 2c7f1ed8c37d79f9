// Questions to the server. All answers come from the Python sampler; the page computes no probability.

/** What the server did not like, in its own words. */
export class Refused extends Error {}

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
  if (response.ok) return response;
  let said;
  try {
    said = (await response.json()).error;
  } catch {
    said = `the server answered ${response.status}`;
  }
  throw new Refused(said);
}

/** One question, one answer. */
export async function ask(name, data, signal) {
  const answer = await (await asked(name, data, signal)).json();
  if (answer.wrong) throw new Refused(answer.wrong);
  return answer;
}

/** What the page needs to know first. */
export async function about() {
  try {
    return await (await fetch("/api/about")).json();
  } catch {
    throw new Refused(GONE);
  }
}

/** Write: `each` gets every event as it comes. Refused if the server ends in the middle. */
export async function write(data, each, signal) {
  const reader = (await asked("write", data, signal)).body.getReader();
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
      if (event.wrong) throw new Refused(event.wrong);
      ended ||= "done" in event || "error" in event;
      each(event);
    }
    if (done) {
      if (rest) throw new Refused(JSON.parse(rest).wrong);
      break;
    }
  }
  if (!ended && data.max_new_tokens !== 0) throw new Refused(`${GONE} It ended in the middle of the text.`);
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
