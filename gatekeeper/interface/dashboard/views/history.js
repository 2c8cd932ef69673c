// What was, and what another revision had instead.

import { Refused, get, path } from "../api.js";
import { refusal } from "../dialog.js";
import { moment, words } from "../format.js";
import { shares } from "../parts/traffic.js";
import { free, h } from "../text.js";
import { head, missing } from "./service.js";
import { link } from "./services.js";

const PAGE = 50;
const LONG = 600; // characters of a value that are shown

const chosen = { service: null, from: null, to: null, difference: null, wrong: null, older: [], end: false };

export const documents = (name) => ({ revisions: `v1/revisions?service=${encodeURIComponent(name)}&limit=${PAGE}` });

export function history({ facts, again }) {
  const [service, found, releases] = ["service", "revisions", "releases"].map((name) => facts.document(name));
  if (service === null || found === null) return h("p", { class: "calm" }, "Loading…");
  if (service.missing) return missing(service);
  if (chosen.service !== service.name) Object.assign(chosen, { service: service.name, from: null, to: null, difference: null, wrong: null, older: [], end: false });
  const newest = found.revisions;
  const last = newest.at(-1)?.revision ?? 0;
  const rows = [...newest, ...chosen.older.filter((row) => row.revision < last)];
  const now = facts.now;
  return [
    head(service, facts.document("release")?.missing ? null : facts.document("release"), "history"),
    h("div", { class: "columns" },
      h("div", { class: "wide" },
        h("section", { class: "panel", "aria-labelledby": "revisions" },
          h("header", null, h("h2", { id: "revisions" }, "Revisions"), h("span", { class: "hint" }, "choose two to see what differs")),
          h("div", { class: "scroll" }, h("table", { class: "revisions" },
            h("thead", null, h("tr", null, ["From", "To", "Revision", "When", "Who", "What"].map((text) => h("th", { scope: "col" }, text)))),
            h("tbody", null, rows.map((row) => revision(row, now, again))))),
          !chosen.end && rows.length >= PAGE && h("button", { type: "button", class: "plain", onclick: () => older(service.name, rows.at(-1).revision, again) }, "Older"))),
      h("div", { class: "side" },
        h("section", { class: "panel", "aria-labelledby": "difference", "aria-live": "polite" },
          h("header", null, h("h2", { id: "difference" }, "Difference")), difference()),
        releases !== null && !releases.missing && list(service, releases.releases, now))),
  ];
}

function revision(row, now, again) {
  const pick = (which) => h("td", null, h("input", { type: "radio", name: which, "aria-label": `${which} revision ${row.revision}`, onchange: () => choose(which, row.revision, again) }));
  return h("tr", { "data-key": String(row.revision) }, pick("from"), pick("to"),
    h("th", { scope: "row" }, String(row.revision)),
    h("td", { class: "when" }, moment(row.at, now)),
    h("td", null, free(row.actor)),
    h("td", null, h("strong", null, words(row.action)), row.weights && [" ", shares(row.weights)], row.note && h("p", { class: "note" }, free(row.note))));
}

async function choose(which, revision_, again) {
  chosen[which] = revision_;
  if (chosen.from === null || chosen.to === null) return again();
  const { service, from, to } = chosen;
  try {
    const found = await get(`v1/${path("revisions", to)}`, { diff: from, service });
    if (chosen.from === from && chosen.to === to) Object.assign(chosen, { difference: found, wrong: null });
  } catch (problem) {
    if (!(problem instanceof Refused)) throw problem;
    Object.assign(chosen, { difference: null, wrong: problem });
  }
  return again();
}

async function older(service, before, again) {
  const { revisions } = await get("v1/revisions", { service, limit: PAGE, before });
  chosen.older.push(...revisions);
  chosen.end = revisions.length < PAGE;
  again();
}

function difference() {
  if (chosen.wrong !== null) return refusal(chosen.wrong);
  if (chosen.difference === null) return h("p", { class: "hint" }, chosen.from === null && chosen.to === null ? "Choose a revision under From and one under To." : "Choose the other one.");
  const { changes, revision: to, diff: from } = chosen.difference;
  if (changes.length === 0) return h("p", null, `Nothing of this service is different in revision ${to} than in ${from}.`);
  return [
    h("p", { class: "hint" }, `From revision ${from} to ${to}:`),
    h("dl", { class: "changes" }, changes.map((change) => [
      h("dt", null, free(change.path)),
      h("dd", null, change.before !== null && h("del", null, free(shown(change.before))), change.after !== null && h("ins", null, free(shown(change.after)))),
    ])),
  ];
}

function shown(value) {
  // Weights as people say them: blue 90, green 10.
  const weights = value !== null && typeof value === "object" && Object.values(value).every((one) => typeof one === "number");
  const text = weights && !Array.isArray(value)
    ? Object.entries(value).map(([name, one]) => `${name} ${one}`).join(", ")
    : typeof value === "string" ? value : JSON.stringify(value);
  return text.length > LONG ? `${text.slice(0, LONG)}…` : text;
}

function list(service, releases, now) {
  return h("section", { class: "panel", "aria-labelledby": "releases" },
    h("header", null, h("h2", { id: "releases" }, "Releases")),
    releases.length === 0 && h("p", { class: "hint" }, "It was never released."),
    h("ul", { class: "releases" }, releases.map((one) =>
      h("li", { "data-key": String(one.id) }, h("a", { href: link(service.name, `/releases/${one.id}`) }, `Release ${one.id}`), ` to ${one.moves.map((move) => move.to).join(", ")}`, h("span", { class: "hint" }, ` ${moment(one.created, now)} by `, free(one.author)), h("p", null, free(one.headline))))));
}
