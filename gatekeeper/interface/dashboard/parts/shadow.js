// What came of copies of users' requests: how much of the answers differs, where, and what of it is nobody's fault.

import { beginAnew } from "../acts/shadow.js";
import { count, moment, percent, time } from "../format.js";
import { session } from "../session.js";
import { free, h } from "../text.js";

const LEFT_OUT = [
  ["shed", "not copied: busy, or too many under way"],
  ["body_too_large", "not copied: their body is too long"],
  ["not_compared", "could not be compared in time"],
];

/** One panel for all runs; nothing where nothing is or was mirrored. */
export function shadow(found, now) {
  if (found === null || found.missing || (found.mirrors.length === 0 && found.runs.length === 0)) return null;
  return h("section", { class: "panel shadow", "aria-labelledby": "shadow" },
    h("header", null, h("h2", { id: "shadow" }, "Shadow traffic"), h("span", { class: "hint" }, "answers to copies of requests, which no user sees")),
    found.mirrors.length > 0 && h("p", { class: "hint" }, found.mirrors.map((mirror, place) => [place > 0 && "; ", `${mirror.percent} % of ${mirror.methods.join(", ")} to `, free(mirror.to), mirror.rule && [" by rule ", free(mirror.rule)]])),
    found.runs.map((run) => one(run, now)),
    session.operator && found.runs.length > 0 && h("div", { class: "acts", role: "group", "aria-label": "Acts on shadow traffic" },
      h("button", { type: "button", class: "plain", "data-key": "shadow-reset", onclick: () => beginAnew(found.service) }, "Begin anew…")));
}

function one(run, now) {
  const kind = run.asked === 0 ? "" : run.different === 0 ? "good" : "warn";
  return h("details", { class: "evidence", open: run.active, "data-key": `shadow-${run.version}-${run.check}-${run.since}` },
    h("summary", null, run.check ? "Check of " : "", free(run.version), run.build && [" (", free(run.build), ")"], `, since ${moment(run.since, now)}${run.active ? "" : ", over"}`),
    h("p", null, h("span", { class: `kind ${kind}` }, share(run)), run.asked > 0 && ` 95 % interval ${percent(run.low)} to ${percent(run.high)}; `, `${count(run.mirrored, "copy", "copies")} sent`),
    run.differences.length > 0 && h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `Differences of ${run.version}` }, h("table", null,
      h("thead", null, h("tr", null, ["Differs", "Where"].map((text) => h("th", { scope: "col" }, text)), h("th", { scope: "col", class: "number" }, "Requests"), ["User got", "Candidate said", "Example"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, run.differences.map(row)))),
    h("ul", { class: "grounds" },
      run.noise.length > 0 && h("li", null, "Not counted, since stable differs there from itself: ", run.noise.map((each, place) => [place > 0 && ", ", free(`${each.kind} ${each.path}`.trim())])),
      run.user.p50 !== null && h("li", null, `Half of the users' answers began within ${time(run.user.p50)}, the candidate's within ${time(run.candidate.p50)}`),
      LEFT_OUT.filter(([name]) => run.outcomes[name] > 0).map(([name, text]) => h("li", null, `${count(run.outcomes[name], "request")} ${text}`))));
}

function share(run) {
  return run.asked === 0 ? "nothing compared yet" : `${run.different.toLocaleString("en")} of ${run.asked.toLocaleString("en")} answers differ (${percent(run.share)})`;
}

function row(each) {
  const [sample] = each.samples;
  return h("tr", { "data-key": `${each.kind} ${each.path}` },
    h("th", { scope: "row" }, each.kind), h("td", null, free(each.path)), h("td", { class: "number" }, each.requests.toLocaleString("en")),
    [sample?.left, sample?.right, sample?.request].map((text) => h("td", null, free(text ?? ""))));
}
