// What the page knows: documents asked for, and the numbers of the stream. It tells who draws that something is new.

import { Refused, get, path } from "./api.js";

export const SECONDS = 600; // of numbers that are kept
const RECENT = 5; // seconds that the numbers in tables are of
const MARKS = 200; // per service
const SETTLE = 120; // ms: one change makes several events
const AGAIN = 10_000; // ms between two looks at what no event tells of: holds, verdicts

const ROW = ["requests", "errors", "p50", "p95", "p99", "in_flight", "weight", "share"];

export class Facts {
  constructor(changed, failed) {
    this.changed = changed;
    this.failed = failed;
    this.wanted = new Map(); // name -> where the document is
    this.documents = new Map(); // name -> document
    this.asked = 0; // requests so far
    this.newest = new Map(); // name -> the request whose answer is shown
    this.series = new Map(); // service -> numbers
    this.marks = new Map(); // service -> marks, the oldest first
    this.tick = null;
    this.offset = 0; // seconds by which gatekeeper's clock is ahead of ours
    setInterval(() => document.hidden || this.refresh(), AGAIN);
  }

  /** Seconds since the epoch, by gatekeeper's clock. */
  get now() {
    return Date.now() / 1000 + this.offset;
  }

  get revision() {
    return this.tick?.revision ?? this.document("status")?.revision ?? null;
  }

  document(name) {
    return this.documents.get(name) ?? null;
  }

  forget() {
    this.wanted = new Map();
    this.documents.clear();
    this.series.clear();
    this.marks.clear();
    this.tick = null;
  }

  /**
   * What the view needs from now on: name -> its path, or a function that asks for it. Documents it has already are shown
   * until the new ones come.
   */
  want(documents) {
    this.wanted = new Map(Object.entries(documents));
    for (const name of [...this.documents.keys()]) if (!this.wanted.has(name)) this.documents.delete(name);
    return this.refresh();
  }

  /** Ask for all of it again. */
  async refresh() {
    const round = this.wanted;
    await Promise.all([...round].map(([name, where]) => this.load(name, where, round)));
  }

  async load(name, where, round) {
    const turn = ++this.asked;
    // Answers may overtake one another: what was asked later is newer.
    const late = () => this.wanted !== round || turn < (this.newest.get(name) ?? 0);
    try {
      const found = await (typeof where === "function" ? where() : get(where));
      if (late()) return;
      this.newest.set(name, turn);
      this.documents.set(name, found);
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      if (late()) return;
      if (problem.status === 404) this.documents.set(name, { missing: problem });
      else this.failed(problem);
    }
    this.changed();
  }

  soon() {
    clearTimeout(this.settling);
    this.settling = setTimeout(() => this.refresh(), SETTLE);
  }

  /** An event of the stream. */
  told(kind, document_) {
    if (kind === "past") this.start(document_);
    else if (kind === "tick") this.add(document_);
    else if (kind === "change") this.soon();
    else if (kind === "gap") this.soon();
    this.changed();
  }

  start(past) {
    this.offset = past.at - Date.now() / 1000;
    this.series = new Map(Object.entries(past.services));
    this.marks = new Map(Object.entries(past.marks ?? {}));
    this.soon(); // what changed while nobody told us
  }

  add(tick) {
    this.tick = tick;
    this.offset = tick.at - Date.now() / 1000;
    for (const [name, one] of Object.entries(tick.services)) {
      if (!this.series.has(name)) this.series.set(name, { at: [], versions: {}, odds: [], bar: one.bar, verdict: [] });
      append(this.series.get(name), tick.at, one);
      if (one.marks?.length) {
        this.marks.set(name, [...(this.marks.get(name) ?? []), ...one.marks].slice(-MARKS));
      }
    }
    for (const name of [...this.series.keys()]) if (!(name in tick.services)) this.series.delete(name);
  }

  /** A version lately: rate, errors (a part), p50, p95, p99, in_flight, weight, share; null where nothing is known. */
  recent(service, version) {
    const found = this.series.get(service)?.versions[version];
    if (!found) return Object.fromEntries(ROW.map((name) => [name, null]));
    const sum = (name) => found[name].slice(-RECENT).reduce((all, one) => all + (one ?? 0), 0);
    const [requests, seconds] = [sum("requests"), Math.min(RECENT, found.requests.length)];
    const last = Object.fromEntries(ROW.map((name) => [name, found[name].at(-1) ?? null]));
    return { ...last, rate: seconds ? requests / seconds : null, errors: requests ? sum("errors") / requests : null };
  }
}

function append(series, at, one) {
  const known = series.at.length;
  // A pause in the stream is a hole in the lines, not a bridge.
  const hole = known > 0 && at - series.at[known - 1] > 2.5;
  if (hole) push(series, series.at[known - 1] + 1, null, {});
  push(series, at, one, one.versions);
  const over = series.at.length - SECONDS;
  if (over <= 0) return;
  for (const list of [series.at, series.odds, series.verdict]) list.splice(0, over);
  for (const version of Object.values(series.versions)) for (const name of ROW) version[name].splice(0, over);
}

function push(series, at, one, rows) {
  const known = series.at.length;
  series.at.push(at);
  series.odds.push(one?.odds ?? null);
  series.verdict.push(one?.verdict ?? null);
  if (one !== null) series.bar = one.bar ?? series.bar;
  for (const name of Object.keys(rows)) {
    series.versions[name] ??= Object.fromEntries(ROW.map((key) => [key, new Array(known).fill(null)]));
  }
  for (const [name, lists] of Object.entries(series.versions)) {
    for (const key of ROW) lists[key].push(rows[name]?.[key] ?? null);
  }
}

/** What stands for a release that never was. */
export const NONE = { missing: { message: "It was never released." } };

/** Names of documents and where they are. */
export const where = {
  status: "v1/status",
  plans: "v1/plans",
  flags: "v1/flags",
  service: (name) => `v1/${path("services", name)}`,
  /** The last release; null if there never was one, which is nothing to ask for in vain. */
  last: (name) => async () => {
    const { releases } = await get(`v1/${path("services", name, "releases")}`, { limit: 1 });
    return releases.length > 0 ? get(where.release(name, releases[0].id)) : NONE;
  },
  release: (name, id) => `v1/${path("services", name, "releases", id)}`,
  shadow: (name) => `v1/${path("services", name, "shadow")}`,
  releases: (name) => `v1/${path("services", name, "releases")}?limit=50`,
};
