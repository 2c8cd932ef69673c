// Which buttons there are for whom. Who may not do anything is told so, and who may.

import { session } from "../session.js";
import { free, h } from "../text.js";
import { pass } from "./pass.js";
import { ORDER, act, label } from "./release.js";
import { reset } from "./reset.js";
import { rollback, target } from "./rollback.js";
import { split } from "./split.js";
import { start } from "./start.js";
import { verify } from "./verify.js";

const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);

/** The one obvious way back. */
export function back(service, release) {
  if (!session.operator) return null;
  const { to, why } = target(service, release);
  if (why) return h("p", { class: "hint noback" }, why);
  return button(`Roll back to ${to}`, () => rollback(service, release), { class: "rollback", "data-key": "rollback" });
}

/** After the trip-wire. */
export const again = (service, version) =>
  session.operator && button("Reset…", () => reset(service, version), { "data-key": `reset-${version}`, class: "plain" });

/** What may be done to a release now. */
export function acts(service, release, now) {
  const possible = ORDER.filter((verb) => release.allowed.includes(verb));
  const own = release.author === session.who.name;
  const mine = possible.filter((verb) => session.may(verb, release.plan) && !(own && verb === "approve"));
  if (mine.length === 0) return possible.length > 0 && h("p", { class: "hint" }, viewer());
  const waits = release.waiting.some((item) => item.kind === "approval");
  const first = waits ? "approve" : release.allowed.includes("resume") ? "resume" : "";
  return h("div", { class: "acts", role: "group", "aria-label": `Acts on release ${release.id}` },
    mine.map((verb) => button(label(verb), () => act(verb, service, release, now), { class: verb === first ? "go" : "", "data-key": verb })),
    own && waits && h("p", { class: "hint" }, "You started it: nobody approves a release of his own."));
}

/** What may be done to a service. */
export function tools(service, release) {
  if (!session.operator) return h("p", { class: "hint" }, viewer());
  const active = release?.active ?? false;
  const alone = Object.keys(service.versions).length < 2;
  return h("div", { class: "acts", role: "group", "aria-label": `Acts on ${service.name}` },
    !active && !alone && button("Start a release…", () => start(service), { class: "go", "data-key": "start" }),
    !active && !alone && button("Weights…", () => split(service), { "data-key": "split" }),
    button("Verify…", () => verify(service), { "data-key": "verify" }),
    button("Tester's pass…", () => pass(service), { "data-key": "pass" }),
    active && h("p", { class: "hint" }, `Release ${release.id} has the weights: while it is under way they are its own.`));
}

function viewer() {
  const { name, role, groups } = session.who;
  return [h("strong", null, "You may look. "), "You are signed in as ", free(name), ` (${role}${groups.length > 0 ? `, ${groups.join(", ")}` : ""}): changes are an operator's to make.`];
}
