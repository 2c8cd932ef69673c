// What the judge says, and on what grounds.

import { count, duration, odds, percent, rate, time, words } from "../format.js";
import { free, h } from "../text.js";

const TONE = { passed: "good", rollback: "bad", invalid: "warn", suspicious: "warn", shared_trouble: "warn" };

/** One panel for a release; nothing where no judge looks. `live`: odds and bar of the last second. */
export function verdict(release, live) {
  const said = release.verdict;
  if (said === null) return null;
  const value = live?.odds ?? said.odds;
  const bar = said.bar ?? live?.bar;
  const more = release.verdicts ?? [];
  return h("section", { class: `panel verdict ${TONE[said.kind] ?? ""}`, "aria-labelledby": "verdict" },
    h("header", null, h("h2", { id: "verdict" }, "Verdict"), h("span", { class: `kind ${TONE[said.kind] ?? ""}` }, words(said.kind))),
    h("p", null, free(said.sentence)),
    value !== null && value !== undefined && scale(value, bar ?? 100),
    more.map((one) => evidence(one, more.length > 1)));
}

/** The odds on a log scale, up to the bar at which it is rolled back. */
function scale(value, bar) {
  const place = (Math.log10(Math.max(value, 0.1)) + 1) / (Math.log10(bar) + 1);
  return h("div", { class: "odds" },
    h("meter", { min: 0, max: 1, low: 0.66, high: 0.99, optimum: 0, value: Math.min(1, Math.max(0, place)).toFixed(3), "aria-label": "Odds against luck", "aria-valuetext": `${odds(value)} of ${odds(bar)}` }),
    h("span", null, "Odds ", h("strong", null, `${odds(value)} : 1`), ` against luck; it is rolled back at ${odds(bar)} : 1`));
}

function evidence(one, named) {
  const both = (name) => [one[name]?.stable, one[name]?.candidate];
  const rows = [["Requests", ...both("requests")], ["Failed", ...both("errors")], ["Too slow", ...both("slow")], ["Compared units", ...both("draws")]]
    .filter(([, a, b]) => a !== undefined && (a || b || 0) !== undefined && (a ?? null) !== null);
  const [metrics, proofs] = [one.metrics ?? {}, one.proofs ?? {}];
  const measured = [...new Set([...Object.keys(metrics), ...Object.keys(proofs)])];
  return h("details", { class: "evidence", open: true, "data-key": `evidence-${one.service}` },
    h("summary", null, named ? `Evidence of ${one.service}` : "Evidence"),
    h("table", null,
      h("thead", null, h("tr", null, h("td", null), [one.stable, one.candidate].map((name) => h("th", { scope: "col", class: "number" }, free(name))))),
      h("tbody", null, rows.map(([name, stable, candidate]) =>
        h("tr", null, h("th", { scope: "row" }, name), [stable, candidate].map((value) => h("td", { class: "number" }, whole(value))))))),
    measured.length > 0 && h("table", null,
      h("thead", null, h("tr", null, h("td", null), h("th", { scope: "col", class: "number" }, `Worse, of ${odds(one.bar)}`), h("th", { scope: "col", class: "number" }, `Good enough, of ${odds(one.proof_bar)}`))),
      h("tbody", null, measured.map((name) =>
        h("tr", null, h("th", { scope: "row" }, words(name)), h("td", { class: "number" }, odds(metrics[name])), h("td", { class: "number" }, odds(proofs[name])))))),
    h("ul", { class: "grounds" },
      one.guard && h("li", null, `Guard: ${guard(one.guard)}`),
      (one.routes ?? []).map((route) => h("li", null, "Failures on ", free(route.route), `: ${route.stable} to ${route.candidate}`)),
      (one.backends ?? []).filter((backend) => backend.errors > 0).map((backend) =>
        h("li", null, free(backend.id), `: ${backend.errors} of ${count(backend.requests, "request")} failed`)),
      (one.queries ?? []).map((query) =>
        h("li", { class: query.state === "beyond" ? "bad" : "" }, free(query.name), `: ${query.value === null ? "unknown" : rate(query.value)} (${query.state})`, query.reason && [", ", free(query.reason)])),
      one.excluded > 0 && h("li", null, `${count(one.excluded, "request")} not compared: decided by a rule, failed over, or without a unit`),
      (one.notes ?? []).map((note) => h("li", null, free(note)))));
}

const whole = (value) => (typeof value === "number" ? Math.round(value).toLocaleString("en") : "–");

function guard({ errors, p99, window }) {
  const parts = [errors !== null && errors !== undefined && `errors over ${percent(errors)}`, p99 && `p99 over ${time(p99)}`].filter(Boolean);
  return `${parts.join(" or ")}${window ? ` within ${duration(window)}` : ""}`;
}
