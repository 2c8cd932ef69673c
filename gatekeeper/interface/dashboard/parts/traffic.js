// Versions by their traffic: the bar of a split, rows of numbers, backends.

import { count, moment, percent, rate, share as told, time, weight, words } from "../format.js";
import { chip, slots } from "../palette.js";
import { free, h, unseen } from "../text.js";

export const total = (split) => Object.values(split).reduce((all, one) => all + one, 0);

/** What a version gets by its weight, as a part. */
export const part = (split, name) => (total(split) > 0 ? (split[name] ?? 0) / total(split) : 0);

/** `blue 90 %, green 10 %`: those that get something. */
export function shares(split) {
  const found = Object.keys(split).filter((name) => split[name] > 0);
  return found.map((name) => `${name} ${told(part(split, name))}`).join(", ") || "nobody";
}

/** Two bars: what the weights say, and what really flows. */
export function bars(service, facts) {
  const found = slots(Object.keys(service.versions));
  const names = Object.keys(service.versions);
  const flows = Object.fromEntries(names.map((name) => [name, facts.recent(service.name, name).share ?? 0]));
  const flowing = total(flows) > 0;
  return h("div", { class: "bars" },
    h("div", { class: "bar", role: "img", "aria-label": `Weights: ${shares(service.split)}` },
      names.map((name) => piece(name, part(service.split, name), found))),
    h("div", { class: "bar thin", role: "img", "aria-label": flowing ? `Traffic as it flows: ${shares(flows)}` : "No traffic" },
      flowing && names.map((name) => piece(name, part(flows, name), found, false))));
}

function piece(name, share, found, named = true) {
  if (share <= 0) return null;
  const wide = share >= 0.12;
  const made = h("span", { class: `piece ${chip(found.get(name))}`, "data-key": name, title: `${name} ${told(share)}` },
    named && wide && h("span", null, `${name} ${told(share)}`));
  made.style.flexGrow = String(share); // by script: the page's policy forbids style attributes in markup
  return made;
}

/** The cells that say how a version fares. */
export function numbers(service, name, facts) {
  const details = service.versions[name];
  const live = facts.recent(service.name, name);
  const ready = details.backends.filter((one) => one.state === "ready").length;
  const cell = (label, text, more = "") => h("td", { class: `number ${more}`, "data-label": label }, text);
  const failing = (live.errors ?? 0) >= 0.05 ? "bad" : (live.errors ?? 0) >= 0.01 ? "warn" : "";
  return [
    cell("weight", weight(service.split[name])),
    cell("share", percent(live.share)),
    cell("req/s", rate(live.rate)),
    cell("errors", percent(live.errors), failing),
    cell("p50", time(live.p50)),
    cell("p95", time(live.p95)),
    cell("p99", time(live.p99)),
    cell("in flight", live.in_flight === null ? "–" : String(live.in_flight)),
    cell("ready", `${ready} of ${details.backends.length}`, ready === details.backends.length ? "" : ready ? "warn" : "bad"),
  ];
}

export const COLUMNS = ["Weight", "Share", "Req/s", "Errors", "p50", "p95", "p99", "In flight", "Ready"];

/** What a version is in its service: stable, candidate, kept, stopped. */
export function roles(service, name, now) {
  const details = service.versions[name];
  const found = [];
  if (name === service.stable) found.push(["stable", "role"]);
  if (service.release?.to === name) found.push(["candidate", "role go"]);
  if (service.retained?.version === name) found.push(["kept", "role"]);
  if (details.tripped) found.push(["stopped by the trip-wire", "role bad"]);
  if (details.draining !== null) found.push([details.draining > now ? "drains" : "drained", "role warn"]);
  return found.map(([text, kind]) => h("span", { class: kind }, text));
}

/** A version's name with its colour, its roles and its build. */
export function title(service, name, now) {
  const build = service.versions[name].build;
  return [
    h("span", { class: chip(slots(Object.keys(service.versions)).get(name)) }, name),
    roles(service, name, now),
    build && h("span", { class: "build" }, unseen("build "), free(build)),
  ];
}

/** Every backend with its state and why. */
export function backends(service, now) {
  const rows = Object.entries(service.versions).flatMap(([name, details]) =>
    details.backends.map((one) =>
      h("tr", { "data-key": `${name} ${one.id}` },
        h("th", { scope: "row" }, h("span", { class: chip(slots(Object.keys(service.versions)).get(name)) }, name)),
        h("td", { class: "url" }, free(one.id)),
        h("td", null, h("span", { class: `state ${one.state}` }, one.state)),
        h("td", { class: "reason" }, free(one.reason)),
        h("td", { class: "since" }, one.since === null ? "" : `since ${moment(one.since, now)}`))));
  return h("section", { class: "panel", "aria-labelledby": "backends" },
    h("header", null, h("h2", { id: "backends" }, "Backends"), h("span", { class: "hint" }, standing(service))),
    h("div", { class: "scroll" }, h("table", { class: "backends" },
      h("thead", { class: "unseen" }, h("tr", null, ["Version", "Address", "State", "Reason", "Since"].map((text) => h("th", { scope: "col" }, text)))),
      h("tbody", null, rows))));
}

function standing(service) {
  const all = Object.values(service.versions).flatMap((details) => details.backends);
  const others = all.filter((one) => one.state !== "ready");
  if (others.length === 0) return "all ready";
  const kinds = [...new Set(others.map((one) => one.state))];
  return kinds.map((kind) => `${count(others.filter((one) => one.state === kind).length, "backend")} ${words(kind)}`).join(", ");
}
