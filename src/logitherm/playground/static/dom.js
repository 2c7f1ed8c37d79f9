// Elements, numbers and tokens as people read them. Text goes in as text: nothing here makes markup of what a model says.

/** An element: attributes by name (on… are listeners, null is left out), then children. */
export function el(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "style") for (const [k, v] of Object.entries(value)) made.style.setProperty(k, v);
    else if (key in made && typeof value !== "string") made[key] = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

/** Replace all children. */
export function fill(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

/** A number in few characters, digit for digit as `logitherm explain` prints it: .2345, 1.234, 6, 123.4, 3.2e-07. */
export function number(x) {
  if (x === null || x === undefined) return "–";
  const size = Math.abs(x);
  if (size < 1e6 && Number.isInteger(x)) return String(x);
  if (size < 1e-4) return exponent(x.toExponential(1));
  if (size < 1) return fixed(x, 4).replace("0.", ".");
  if (size < 100) return fixed(x, 3);
  const text = exponent(x.toPrecision(4));
  const [digits, power] = text.split("e");
  const short = digits.includes(".") ? digits.replace(/\.?0+$/, "") : digits;
  return power === undefined ? short : `${short}e${power}`;
}

/** toFixed, but what lies just between two goes to the even one, as in Python. */
function fixed(x, digits) {
  const scaled = Math.abs(x) * 10 ** digits;
  const below = Math.floor(scaled);
  if (scaled - below !== 0.5 || below % 2 === 1) return x.toFixed(digits);
  return (Math.sign(x) * (below / 10 ** digits)).toFixed(digits);
}

function exponent(text) {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

const UNSEEN = { "\n": "⏎", "\r": "␍", "\t": "⇥" };

/** A token with what cannot be seen spelt out, in quotes. */
export function visible(text) {
  const shown = text.replace(/[\n\r\t]/g, (c) => UNSEEN[c]).replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, spelt);
  return `“${shown}”`;
}

function spelt(c) {
  return `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** A function that runs so many milliseconds after its last call. */
export function later(wait, work) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), wait);
  };
}

/** Arrow keys go through the elements of a group; only the chosen one is reached by Tab. */
export function roving(parent, selector, choose) {
  parent.addEventListener("keydown", (event) => {
    const right = getComputedStyle(parent).direction === "rtl" ? -1 : 1;
    const step = { ArrowRight: right, ArrowDown: 1, ArrowLeft: -right, ArrowUp: -1 }[event.key];
    const all = [...parent.querySelectorAll(selector)];
    const here = all.indexOf(document.activeElement);
    const next = event.key === "Home" ? 0 : event.key === "End" ? all.length - 1 : step ? here + step : -1;
    if (here < 0 || !all[next]) return;
    event.preventDefault();
    all[next].focus();
    choose(all[next]);
  });
}
