// Elements made of texts. Nothing here or elsewhere on the page parses markup: what comes from outside can only be text.

// Characters that show nothing or turn the text around them (a build called "1\u202e" must not reorder a sentence).
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const SVG = "http://www.w3.org/2000/svg";
const HANDLERS = ["onclick", "oninput", "onchange", "onsubmit", "onkeydown"];

/** A text as it may be shown: what would not be seen is written out, as \u202e. */
export function clean(text) {
  return String(text).replace(UNSEEN, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** An element. `attributes` are set as such, functions as handlers; null, undefined and false are left out. */
export function h(tag, attributes, ...children) {
  const made = tag === "svg" || tag === "path" || tag === "line"
    ? document.createElementNS(SVG, tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") made[name] = value;
    else if (value === true) made.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, clean(value));
  }
  add(made, children);
  return made;
}

function add(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    parent.append(child instanceof Node ? child : clean(child));
  }
}

/** A text that somebody wrote: of any length and direction, it stays in its place. */
export const free = (text) => h("bdi", { class: "free" }, text);

/** The same with what stands between backticks set as code. */
export const prose = (text) => h("bdi", { class: "free" }, String(text).split("`").map((one, place) => (place % 2 ? h("code", null, one) : one)));

/** For people who do not see the page. */
export const unseen = (text) => h("span", { class: "unseen" }, text);

/**
 * Make what is in `parent` like `fresh`, changing as little as possible: focus, selection, scrolling and what was
 * opened stay. `data-key` tells siblings apart; what is in an element with `data-keep` is left alone.
 */
export function morph(parent, ...fresh) {
  const made = document.createDocumentFragment();
  add(made, fresh);
  const focused = document.activeElement;
  follow(parent, made);
  // What is moved to another place loses it.
  if (focused !== document.activeElement && parent.contains(focused)) focused.focus({ preventScroll: true });
}

function follow(parent, made) {
  let place = parent.firstChild;
  for (const fresh of [...made.childNodes]) {
    const there = match(place, fresh);
    if (there === null) {
      parent.insertBefore(fresh, place);
      continue;
    }
    // What lies between belongs to what comes later, or to nothing any more.
    if (there !== place) parent.insertBefore(there, place);
    else place = place.nextSibling;
    merge(there, fresh);
  }
  while (place !== null) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.getAttribute("data-key") : null);

function match(place, fresh) {
  const wanted = key(fresh);
  if (wanted === null) return place !== null && key(place) === null && place.nodeName === fresh.nodeName ? place : null;
  for (let node = place; node !== null; node = node.nextSibling) {
    if (key(node) === wanted && node.nodeName === fresh.nodeName) return node;
  }
  return null;
}

function merge(there, fresh) {
  if (there.nodeType !== Node.ELEMENT_NODE) {
    if (there.nodeValue !== fresh.nodeValue) there.nodeValue = fresh.nodeValue;
    return;
  }
  for (const { name, value } of [...fresh.attributes]) {
    if (there.getAttribute(name) === value) continue;
    // The page's policy forbids style attributes, not styles that a script sets.
    if (name === "style") there.style.cssText = value;
    else there.setAttribute(name, value);
  }
  for (const { name } of [...there.attributes]) {
    // Whether it is open is the reader's affair.
    if (!fresh.hasAttribute(name) && !(name === "open" && there.nodeName === "DETAILS")) there.removeAttribute(name);
  }
  for (const name of HANDLERS) there[name] = fresh[name];
  if (!there.hasAttribute("data-keep")) follow(there, fresh);
}
