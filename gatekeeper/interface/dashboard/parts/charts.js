// The charts of one service, and the same numbers as a table.

import { Chart } from "../chart.js";
import { NOTHING, clock, odds, percent, rate, time } from "../format.js";
import { chip, colour, slots } from "../palette.js";
import { h, morph, unseen } from "../text.js";

const SPANS = { 600: "10 min", 120: "2 min" };
const SMOOTH = 5; // seconds of which a point of the error rate is
const EVERY = 30; // seconds between two rows of the table

let span = 600;

/** What is drawn of which versions; `judged`: the odds, too. */
function plans(names, found, judged) {
  const each = (make) => names.flatMap((name) => make(name, colour(found.get(name))));
  const quantiles = each((name, c) => [
    { label: `${name} p50`, colour: c, width: 2, of: [name, "p50"] },
    { label: `${name} p95`, colour: c, width: 1.25, dash: [5, 3], of: [name, "p95"] },
    { label: `${name} p99`, colour: c, width: 1, of: [name, "p99"] },
  ]);
  const all = [
    {
      id: "rate", title: "Requests per second", format: rate, least: 1,
      lines: each((name, c) => [{ label: name, colour: c, of: [name, "requests"] }]),
    },
    {
      id: "errors", title: "Error rate", format: (value) => percent(value), least: 0.01,
      lines: each((name, c) => [{ label: name, colour: c, fill: true, of: [name, "errors"] }]),
    },
    {
      id: "time", title: "Response time", hint: "p50 thick, p95 dashed, p99 thin", format: time, least: 0.005, lines: quantiles,
      bands: names.map((name, place) => [place * 3 + 2, place * 3, colour(found.get(name))]),
    },
    {
      id: "share", title: "Share of traffic", hint: "as it flows; dashed: its weight", format: (value) => percent(value, 0), least: 1, labelled: true,
      lines: each((name, c) => [
        { label: name, colour: c, of: [name, "share"] },
        { label: `${name} weight`, colour: c, width: 1, dash: [4, 3], stepped: true, of: [name, "weight"] },
      ]),
    },
  ];
  if (judged) {
    all.push({
      id: "odds", title: "Odds against luck", hint: "that it is worse; at the line it is rolled back", format: odds, log: true, bar: 100,
      lines: [{ label: "odds", colour: "--text", width: 1.75, of: [null, "odds"] }],
    });
  }
  return all;
}

/** One line's numbers. */
function column(series, [name, what]) {
  if (name === null) return series.odds.map((one) => (one === null ? null : Math.max(one, 1e-3)));
  const lists = series.versions[name];
  if (lists === undefined) return series.at.map(() => null);
  if (what === "errors") return lists.errors.map((_, at) => failing(lists, at));
  return lists[what];
}

/** The part that failed lately; of single seconds with few requests it would only flicker. */
function failing({ requests, errors }, at) {
  let [all, failed] = [0, 0];
  for (let one = Math.max(0, at - SMOOTH + 1); one <= at; one++) {
    all += requests[one] ?? 0;
    failed += errors[one] ?? 0;
  }
  return requests[at] === null || all === 0 ? null : failed / all;
}

/** What is written on a mark: the weight of a step, or the end. */
function label({ kind, text }) {
  if (/rollback|rolled_back/.test(kind)) return "back";
  if (/tripped/.test(kind)) return "tripped";
  return kind === "release_step" ? (/[\d.]+ %/.exec(text)?.[0] ?? "") : "";
}

/** Versions that had traffic or weight in the time that is shown, in the order of the service. */
function shown(series, names, from) {
  const first = series.at.findIndex((at) => at >= from);
  const busy = (list) => first >= 0 && list.slice(first).some((one) => one > 0);
  return names.filter((name) => {
    const lists = series.versions[name];
    return lists !== undefined && (busy(lists.requests) || busy(lists.weight));
  });
}

/** The charts of a service as elements; `draw` puts the lines into them once they are on the page. */
export class Charts {
  constructor(facts, again) {
    this.facts = facts;
    this.again = again;
    this.made = new Map(); // id -> chart
    this.shape = "";
    this.plans = [];
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.drop());
  }

  elements(service) {
    const series = this.facts.series.get(service.name);
    const found = slots(Object.keys(service.versions));
    const names = series ? shown(series, Object.keys(service.versions), this.facts.now - span) : [];
    const judged = series?.odds.some((one) => one !== null) ?? false;
    this.plans = series ? plans(names, found, judged) : [];
    return h("section", { class: "panel charts", "aria-labelledby": "charts" },
      h("header", null,
        h("h2", { id: "charts" }, "Live"),
        h("ul", { class: "legend" }, names.map((name) => h("li", { class: chip(found.get(name)) }, name))),
        h("div", { class: "segments", role: "group", "aria-label": "Time shown" },
          Object.entries(SPANS).map(([seconds, text]) =>
            h("button", { type: "button", "aria-pressed": String(span === Number(seconds)), onclick: () => this.look(Number(seconds)) }, text)))),
      names.length === 0 && h("p", { class: "calm" }, "No traffic in this time."),
      h("div", { class: "grid" }, this.plans.map((plan) => this.figure(plan, series))),
      names.length > 0 && this.table(series, names));
  }

  look(seconds) {
    span = seconds;
    this.again();
  }

  figure(plan, series) {
    const now = plan.lines.map((line) => `${line.label} ${plan.format(column(series, line.of).at(-1) ?? null)}`).join(", ");
    return h("figure", { class: "chart", "data-key": `chart-${plan.id}` },
      h("figcaption", null, h("span", { class: "name" }, plan.title), plan.hint && h("span", { class: "hint" }, plan.hint),
        h("output", { "data-keep": true, "data-said": plan.id, "aria-hidden": "true" })),
      h("div", { class: "plot", "data-keep": true, "data-chart": plan.id, role: "img", "aria-label": `${plan.title}. Now: ${now}` }));
  }

  /** After the elements are on the page. */
  draw(root, service) {
    const series = this.facts.series.get(service);
    const shape = JSON.stringify([service, this.plans.map((plan) => plan.lines.map((line) => line.label))]);
    if (shape !== this.shape) this.drop();
    this.shape = shape;
    if (!series) return;
    const marks = (this.facts.marks.get(service) ?? []).map((mark) => ({ ...mark, label: label(mark) }));
    for (const plan of this.plans) {
      const host = root.querySelector(`[data-chart="${plan.id}"]`);
      if (host === null) continue;
      const said = root.querySelector(`[data-said="${plan.id}"]`);
      if (this.made.get(plan.id)?.host !== host) {
        this.made.get(plan.id)?.drop();
        this.made.set(plan.id, new Chart(host, plan, (what) => this.say(said, plan, what)));
      }
      const data = [series.at, ...plan.lines.map((line) => column(series, line.of))];
      this.made.get(plan.id).show(data, marks, this.facts.now, span);
    }
  }

  drop() {
    for (const chart of this.made.values()) chart.drop();
    this.made.clear();
    this.shape = "";
  }

  /** What is under the cursor, beside the title. */
  say(said, plan, what) {
    if (what === null) return morph(said);
    const found = new Map();
    plan.lines.forEach((line, place) => {
      const value = what.values[place];
      if (value === null || value === undefined) return;
      found.set(line.colour, [...(found.get(line.colour) ?? []), plan.format(value)]);
    });
    const values = [...found].map(([colour_, texts]) => h("span", { class: `under ${colour_.slice(2)}` }, texts.join(" / ")));
    const marks = what.marks.map((mark) => h("span", { class: "mark" }, mark.text));
    return morph(said, h("span", null, clock(what.at)), values, marks);
  }

  table(series, names) {
    const rows = [];
    for (let at = series.at.length - 1; at >= 0 && rows.length < 20; at -= EVERY) rows.push(at);
    return h("details", { class: "numbers", "data-key": "numbers" },
      h("summary", null, "The same as a table"),
      h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Numbers of the charts" },
        h("table", null,
          h("thead", null, h("tr", null,
            ["Time", "Version", "Requests/s", "Errors", "p50", "p95", "p99", "Share", "Weight"].map((name) => h("th", { scope: "col" }, name)))),
          h("tbody", null, rows.flatMap((at) => names.map((name, place) => row(series, at, name, place)))))),
      unseen("One row for every half minute, the newest first."));
  }
}

function row(series, at, name, place) {
  const lists = series.versions[name];
  const of = (what, format) => format(lists[what][at]);
  const failed = lists.requests[at] ? percent(failing(lists, at)) : NOTHING;
  const cells = [of("requests", rate), failed, of("p50", time), of("p95", time), of("p99", time), of("share", percent), of("weight", percent)];
  return h("tr", null, h("td", null, place === 0 ? clock(series.at[at]) : ""), h("th", { scope: "row" }, name),
    cells.map((text) => h("td", { class: "number" }, text)));
}
