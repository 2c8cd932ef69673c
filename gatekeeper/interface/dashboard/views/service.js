// One service: how its versions fare, what is being released, and what may be done.

import { acts, again, back, tools } from "../acts/buttons.js";
import { moment, words } from "../format.js";
import { COLUMNS, backends, bars, numbers, title } from "../parts/traffic.js";
import { shadow } from "../parts/shadow.js";
import { answers, timeline, waits } from "../parts/timeline.js";
import { verdict } from "../parts/verdict.js";
import { tone } from "../chart.js";
import { free, h } from "../text.js";
import { link } from "./services.js";

const MARKS = 12;

/** The head that all views of a service have. */
export function head(service, release, at) {
  const tab = (text, href, key) => h("a", { href, "aria-current": key === at && "page" }, text);
  return h("div", { class: "title service-title" },
    h("div", null, h("h1", null, service.name), h("p", { class: "hint" }, free([service.hosts.join(", ") || "every host", service.path_prefix].join(" ")), `, stable: ${service.stable}`)),
    back(service, release),
    h("nav", { class: "tabs", "aria-label": `Views of ${service.name}` },
      tab("Live", link(service.name), "live"),
      release && tab(`Release ${release.id}`, link(service.name, `/releases/${release.id}`), "release"),
      tab("History", link(service.name, "/history"), "history")));
}

export const missing = (document_) => h("div", { class: "panel calm" }, h("h1", null, "Not here"), h("p", null, free(document_.missing.message)), h("p", null, h("a", { href: "#/" }, "All services")));

export function service({ facts, charts }) {
  const found = facts.document("service");
  if (found === null) return h("p", { class: "calm" }, "Loading…");
  if (found.missing) return missing(found);
  const last = facts.document("release");
  const release = last === null || last.missing ? null : last;
  const now = facts.now;
  return [
    head(found, release, "live"),
    stopped(found, now),
    h("div", { class: "columns three" },
      h("section", { class: "panel flush first", "aria-label": "Versions" }, bars(found, facts), versions(found, facts)),
      h("div", { class: "side" },
        release && releasing(found, release, now),
        release && release.state !== "promoted" && verdict(release, release.active ? facts.tick?.services[found.name] : null),
        h("section", { class: "panel", "aria-labelledby": "tools" }, h("header", null, h("h2", { id: "tools" }, "Actions")), tools(found, release)),
        release?.active && answers(release)),
      h("div", { class: "wide" },
        charts.elements(found),
        shadow(facts.document("shadow"), now),
        events(facts.marks.get(found.name) ?? [], now),
        backends(found, now))),
  ];
}

function versions(found, facts) {
  return h("table", { class: "glance" },
    h("thead", null, h("tr", null, h("th", { scope: "col" }, "Version"), COLUMNS.map((text) => h("th", { scope: "col", class: "number" }, text)))),
    h("tbody", null, Object.keys(found.versions).map((name) =>
      h("tr", { "data-key": name, class: (found.split[name] ?? 0) > 0 ? "" : "idle" }, h("th", { scope: "row" }, title(found, name, facts.now)), numbers(found, name, facts)))));
}

/** What took weight away by itself. */
function stopped(found, now) {
  return Object.entries(found.versions).filter(([, details]) => details.tripped).map(([name, { tripped }]) =>
    h("p", { class: "alarm", "data-key": `tripped-${name}` }, h("strong", null, `${name} was stopped by the trip-wire`), ` at ${moment(tripped.at, now)}: `, free(tripped.reason), ". It gets no weight until an operator resets that.", again(found, name)));
}

export function releasing(found, release, now) {
  const kind = release.active ? (release.waiting.length > 0 ? "warn" : "go") : release.state === "promoted" ? "good" : "bad";
  return h("section", { class: "panel release", "aria-labelledby": "release" },
    h("header", null, h("h2", { id: "release" }, h("a", { href: link(found.name, `/releases/${release.id}`) }, `Release ${release.id}`)), h("span", { class: `kind ${kind}` }, words(release.state))),
    h("p", { class: "headline" }, free(release.headline)),
    release.note && h("p", { class: "note" }, free(release.note)),
    release.active && waits(release, now),
    release.active ? acts(found, release, now) : release.next && h("p", { class: "hint" }, free(release.next.text), release.next.at !== null && `: ${moment(release.next.at, now)}`),
    release.active && timeline(release, now));
}

/** What is marked on the time axis, in words. */
function events(marks, now) {
  if (marks.length === 0) return null;
  return h("section", { class: "panel", "aria-labelledby": "events" },
    h("header", null, h("h2", { id: "events" }, "What happened")),
    h("ol", { class: "story" }, marks.slice(-MARKS).toReversed().map((mark) =>
      h("li", { "data-key": `${mark.at} ${mark.kind} ${mark.text}` }, h("time", null, moment(mark.at, now)), h("span", { class: `dot ${tone(mark)}`, "aria-hidden": "true" }), h("p", null, h("strong", null, words(mark.kind)), " ", free(mark.text), " ", mark.actor && h("span", { class: "actor" }, free(mark.actor))), mark.revision && h("span", { class: "hint" }, `revision ${mark.revision}`)))));
}
