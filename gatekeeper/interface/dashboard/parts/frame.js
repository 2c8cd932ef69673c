// What is around every view: the top of the page, what is wrong, and what is said to those who listen.

import { moment, words } from "../format.js";
import { session } from "../session.js";
import { free, h, morph } from "../text.js";

const STANDING = { live: "Live", lost: "Connection lost, trying again", opening: "Connecting" };

export function frame(top, { facts, page, at, leave }) {
  const { who } = session;
  morph(top,
    h("a", { class: "brand", href: "#/" }, h("span", { class: "mark", "aria-hidden": "true" }), "Gatekeeper"),
    who && h("nav", { "aria-label": "Where you are" },
      h("a", { href: "#/", "aria-current": at?.key === "services" && "page" }, "Services"),
      at?.name && [h("span", { "aria-hidden": "true" }, "›"), h("a", { href: `#/services/${encodeURIComponent(at.name)}` }, at.name)],
      h("a", { href: "#/flags", class: "apart", "aria-current": at?.key === "flags" && "page" }, "Flags")),
    who && h("div", { class: "standing" },
      h("span", { class: `stream ${page.standing}` }, STANDING[page.standing]),
      facts.revision !== null && h("span", { class: "revision" }, `revision ${facts.revision}`),
      h("span", { class: "who" }, free(who.name), h("span", { class: "hint" }, ` ${who.role}`)),
      session.byCookie && h("button", { type: "button", class: "plain", onclick: leave }, "Sign out")));
}

export function notices(place, { facts, page }) {
  const status = facts.document("status");
  const problems = [...(facts.tick?.problems ?? status?.problems ?? [])];
  const lines = [];
  if (page.standing === "lost") {
    lines.push(h("p", { class: "alarm", "data-key": "lost" }, h("strong", null, "No numbers are coming in. "), "Gatekeeper cannot be reached; what is below is from before. Traffic does not depend on this page or on the supervisor."));
  }
  if (page.trouble) lines.push(h("p", { class: "alarm", "data-key": "trouble" }, free(page.trouble)));
  lines.push(...problems.map((line) => h("p", { class: "alarm", "data-key": `problem ${line}` }, free(line))));
  for (const flag of status?.flags?.overdue ?? []) {
    lines.push(h("p", { class: "notice", "data-key": `overdue ${flag.name}` }, h("strong", null, `Flag ${flag.name} is overdue: `), `it was to be gone by ${flag.expires}`, flag.owner && [" (", free(flag.owner), ")"], "."));
  }
  for (const one of status?.pending ?? []) {
    lines.push(h("p", { class: "notice", "data-key": `pending ${one.revision}` }, h("strong", null, `Revision ${one.revision} undoes itself at ${moment(one.deadline, facts.now)}`), " unless it is confirmed: ", h("code", null, `gatekeeper confirm ${one.revision}`)));
  }
  morph(place, session.who === null ? (page.standing === "lost" ? lines.slice(0, 1) : []) : lines);
}

/** Says aloud what changed of a release, and nothing else: numbers change every second. */
export class Speaker {
  constructor(place) {
    this.place = place;
    this.forget();
  }

  forget() {
    this.last = new Map();
  }

  look(facts, only) {
    for (const [name, one] of Object.entries(facts.tick?.services ?? {})) {
      const said = [one.release?.headline, one.verdict && `verdict ${words(one.verdict)}`].filter(Boolean).join(", ");
      const before = this.last.get(name);
      this.last.set(name, said);
      if (before === undefined || before === said || (only && only !== name)) continue;
      this.place.textContent = `${name}: ${said || "no release is under way"}`;
    }
  }
}
