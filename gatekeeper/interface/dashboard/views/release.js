// One release with all its evidence.

import { acts } from "../acts/buttons.js";
import { listing, moment } from "../format.js";
import { answers, checks, story, timeline, waits } from "../parts/timeline.js";
import { verdict } from "../parts/verdict.js";
import { free, h } from "../text.js";
import { head, missing } from "./service.js";

export function release({ facts }) {
  const [service, found] = [facts.document("service"), facts.document("release")];
  if (service === null || found === null) return h("p", { class: "calm" }, "Loading…");
  if (service.missing) return missing(service);
  if (found.missing) return missing(found);
  const now = facts.now;
  const moves = found.moves.map((move) => `${move.service} from ${move.from} to ${move.to}`);
  return [
    head(service, found, "release"),
    h("div", { class: "columns" },
      h("div", { class: "wide" },
        h("section", { class: "panel", "aria-labelledby": "steps" },
          h("header", null, h("h2", { id: "steps" }, free(found.headline)), h("span", { class: "hint" }, `plan ${found.plan.name}`)),
          h("p", { class: "hint" }, `${listing(moves)}, started by `, free(found.author), ` at ${moment(found.created, now)}`, found.moves.some((move) => move.build) && [", build ", free(listing(found.moves.map((move) => move.build ?? "unknown")))]),
          found.note && h("p", { class: "note" }, free(found.note)),
          found.active && waits(found, now),
          found.active && acts(service, found, now),
          timeline(found, now)),
        checks(found, now),
        story(found, now)),
      h("div", { class: "side" },
        verdict(found, found.active ? facts.tick?.services[service.name] : null),
        answers(found),
        skipped(found, now))),
  ];
}

function skipped(found, now) {
  if (found.skipped.length === 0) return null;
  return h("section", { class: "panel", "aria-labelledby": "skipped" },
    h("header", null, h("h2", { id: "skipped" }, "Skipped")),
    h("ul", { class: "plain" }, found.skipped.map((one) =>
      h("li", null, h("strong", null, free(one.what)), " by ", free(one.actor), ` at ${moment(one.at, now)}: `, free(one.reason)))));
}
