// All services at a glance.

import { count } from "../format.js";
import { h, free } from "../text.js";
import { COLUMNS, bars, numbers, title } from "../parts/traffic.js";

export const link = (service, more = "") => `#/services/${encodeURIComponent(service)}${more}`;

export function services({ facts }) {
  const status = facts.document("status");
  if (status === null) return h("p", { class: "calm" }, "Loading…");
  return [
    h("div", { class: "title" }, h("h1", null, "Services"), h("p", { class: "hint" }, summary(status))),
    status.services.length === 0 && h("p", { class: "calm" }, "The file names no service."),
    status.services.length > 0 && h("div", { class: "panel flush" }, h("table", { class: "glance" },
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Version"), COLUMNS.map((text) => h("th", { scope: "col", class: "number" }, text)))),
      status.services.map((service) => body(service, facts)))),
  ];
}

function summary(status) {
  const going = status.services.filter((service) => service.release !== null).length;
  const troubled = status.services.filter((service) => trouble(service) !== "").length;
  return [
    count(status.services.length, "service"),
    going > 0 ? `, ${count(going, "release")} under way` : ", nothing is being released",
    troubled > 0 && h("span", { class: "warn" }, `, ${troubled} with something to look at`),
  ];
}

/** What is not as it should be, in a few words. */
export function trouble(service) {
  const found = [];
  for (const [name, details] of Object.entries(service.versions)) {
    if (details.tripped) found.push(`${name} was stopped: ${details.tripped.reason}`);
    const off = details.backends.filter((one) => one.state === "ejected");
    if (off.length > 0) found.push(`${count(off.length, "backend")} of ${name} ejected`);
  }
  return found.join("; ");
}

function body(service, facts) {
  const names = Object.keys(service.versions);
  const wrong = trouble(service);
  const { release, retained } = service;
  return h("tbody", { "data-key": service.name },
    h("tr", { class: "head" }, h("th", { scope: "rowgroup", colspan: COLUMNS.length + 1 },
      h("div", { class: "service" },
        h("a", { href: link(service.name) }, service.name),
        h("span", { class: "hint hosts" }, free([service.hosts.join(", ") || "every host", service.path_prefix].join(" "))),
        bars(service, facts)),
      release && h("p", { class: "under-way" }, h("a", { href: link(service.name, `/releases/${release.id}`) }, `Release ${release.id}`), " ", free(release.headline), release.waiting.length > 0 && h("span", { class: "waits" }, " waits for ", free(release.waiting.join(", ")))),
      retained && h("p", { class: "under-way" }, `Promoted: ${service.stable} is stable, ${retained.version} is kept to go back to.`),
      wrong && h("p", { class: "bad" }, free(wrong)))),
    names.map((name) => h("tr", { "data-key": name, class: (service.split[name] ?? 0) > 0 ? "" : "idle" },
      h("th", { scope: "row" }, title(service, name, facts.now)), numbers(service, name, facts))));
}
