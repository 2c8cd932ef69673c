// All feature flags: for whom each is on, and the buttons that change it.

import { flagActs } from "../acts/flag.js";
import { count, moment } from "../format.js";
import { session } from "../session.js";
import { h, free } from "../text.js";
import { chance, shares, standing, tone } from "../parts/flag.js";

/** Verdicts that somebody should look at. */
const GRAVE = new Set(["rollback", "suspicious", "shared_trouble"]);

export function flags({ facts }) {
  const found = facts.document("flags");
  if (found === null) return h("p", { class: "calm" }, "Loading…");
  const now = facts.now;
  return [
    h("div", { class: "title" }, h("h1", null, "Flags"), h("p", { class: "hint" }, summary(found.flags))),
    found.flags.length === 0 && h("div", { class: "panel calm" }, h("p", null, "There is no flag. One comes by ", h("code", null, "flags:"), " in the file, or by ", h("code", null, "gatekeeper flag set NAME --new"), ".")),
    found.flags.length > 0 && h("ul", { class: "flags" }, found.flags.map((flag) => row(flag, now))),
    found.flags.length > 0 && !session.operator && h("p", { class: "hint" }, h("strong", null, "You may look. "), "Changes are an operator's to make."),
  ];
}

function summary(all) {
  const on = all.filter((flag) => flag.state === "on").length;
  const late = all.filter((flag) => flag.overdue).length;
  return [count(all.length, "flag"), `, ${on} on`, late > 0 && h("span", { class: "warn" }, `, ${late} overdue`)];
}

function row(flag, now) {
  return h("li", { class: "panel flag", "data-key": flag.name },
    h("div", { class: "what" },
      h("h2", null, flag.name, " ", h("span", { class: `kind ${tone(flag)}` }, standing(flag))),
      flag.description && h("p", null, free(flag.description)),
      h("p", { class: "hint" }, facts(flag, now).flatMap((part, place) => (place > 0 ? ["; ", part] : [part])))),
    h("div", { class: "part" }, bar(flag), h("span", { class: "hint" }, chance(flag))),
    session.operator && flagActs(flag));
}

/** What is known of it, in short parts of a line. */
function facts(flag, now) {
  const found = [flag.services.length > 0 ? `requests of ${flag.services.join(", ")}` : "all services"];
  if (flag.when) found.push("under a condition");
  if (flag.follow) found.push(`follows the releases of ${flag.follow}`);
  if (flag.schedule?.next) found.push(`by schedule ${flag.schedule.next === flag.schedule.on ? "on" : "off"} at ${moment(flag.schedule.next, now)}`);
  if (flag.verdict) found.push(h("span", { class: GRAVE.has(flag.verdict.kind) ? "warn" : "" }, "the judge: ", free(flag.verdict.sentence)));
  if (flag.owner) found.push(["of ", free(flag.owner)]);
  if (flag.expires) found.push(h("span", { class: flag.overdue ? "warn" : "" }, `${flag.overdue ? "was" : "is"} to be gone by ${flag.expires}`));
  if (flag.differs_from_file) found.push("defined otherwise than in the file");
  found.push(`changed ${moment(flag.changed.at, now)}, revision ${flag.changed.revision}`);
  return found;
}

/** How much each variant has, while the flag is on. */
function bar(flag) {
  const names = Object.keys(flag.variants);
  const sum = names.reduce((all, name) => all + (flag.split[name] ?? 0), 0);
  const live = flag.state === "on";
  return h("div", { class: `bar${live ? "" : " asleep"}`, role: "img", "aria-label": live ? shares(flag) : `${standing(flag)}: everybody gets ${flag.off}` },
    names.map((name, place) => {
      const part = (flag.split[name] ?? 0) / sum;
      if (part === 0) return null;
      const piece = h("div", { class: `piece ${name === flag.off ? "rest" : `v${place % 6}`}`, "data-key": name }, h("span", null, name));
      piece.style.flexGrow = part;
      return piece;
    }));
}
