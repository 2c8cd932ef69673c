// What a change of weights means for users, in a table and a sentence.

import { listing, share } from "../format.js";
import { part } from "../parts/traffic.js";
import { chip, slots } from "../palette.js";
import { h } from "../text.js";

const LEAST = 1e-9;
const SENTENCE = {
  ramp: "Everybody else stays where they are.",
  pin: "Who has a version keeps it until its weight is 0; new users are assigned by the new weights.",
  none: "Each request is drawn anew by the new weights.",
};

/** `10 % of users move from blue to green.` */
export function sentence(before, after, mode = "ramp") {
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  const changes = names.map((name) => [name, part(after, name) - part(before, name)]);
  const from = changes.filter(([, change]) => change < -LEAST);
  const to = changes.filter(([, change]) => change > LEAST);
  if (to.length === 0) return "Nobody moves.";
  const whole = to.reduce((all, [, change]) => all + change, 0);
  const who = mode === "none" ? "requests" : "users";
  const comes = to.length > 1 ? to.map(([name, change]) => `${share(change)} to ${name}`) : [to[0][0]];
  const moved = whole > 1 - LEAST ? `All ${who}` : `${share(whole)} of ${who}`;
  const first = `${moved} move from ${listing(from.map(([name]) => name))} to ${listing(comes)}.`;
  return whole > 1 - LEAST ? first : `${first} ${SENTENCE[mode] ?? ""}`;
}

/** The weights that a change was made from, by its own answer: those on the page may be older. */
export function now(reply, service) {
  return reply.changes.find((change) => change.path === `services.${service.name}.split`)?.before ?? service.split;
}

/** Now and then, side by side. */
export function table(versions, before, after) {
  const found = slots(versions);
  const rows = versions.filter((name) => (before[name] ?? 0) > 0 || (after[name] ?? 0) > 0);
  return h("table", { class: "moving" },
    h("thead", null, h("tr", null, h("td", null), ["Now", "Then"].map((text) => h("th", { scope: "col", class: "number" }, text)))),
    h("tbody", null, rows.map((name) =>
      h("tr", null, h("th", { scope: "row" }, h("span", { class: chip(found.get(name)) }, name)),
        h("td", { class: "number" }, share(part(before, name))),
        h("td", { class: "number" }, h("strong", null, share(part(after, name))))))));
}
