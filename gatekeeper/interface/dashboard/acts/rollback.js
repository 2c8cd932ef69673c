// The one button that brings users back.

import { call, path } from "../api.js";
import { ask, note } from "../dialog.js";
import { free, h } from "../text.js";
import { listing } from "../format.js";
import { shares } from "../parts/traffic.js";
import { now, sentence, table } from "./moving.js";

/** Where a rollback would lead: {to: a few words} or {why: why there is nothing to roll back}. */
export function target(service, release) {
  if (release?.active) {
    const move = release.moves.find((one) => one.service === service.name);
    if (move) return { to: holders(move.before) };
  }
  if (service.retained) return { to: service.retained.version };
  if (service.undo?.length) return { to: holders(service.undo[0].split) };
  return { why: "Nothing to roll back: there is no earlier split." };
}

const holders = (split) => {
  const names = Object.keys(split).filter((name) => split[name] > 0);
  return names.length === 1 ? names[0] : shares(split);
};

export function rollback(service, release) {
  const where = `v1/${path("services", service.name, "rollback")}`;
  const names = Object.keys(service.versions);
  ask({
    title: `Roll back ${service.name}?`,
    tone: "danger",
    confirm: "Roll back now",
    more: [note()],
    preview: async () => {
      const reply = await call("POST", where, { body: {}, query: { dry_run: 1 } });
      const others = release?.active ? release.services.filter((name) => name !== service.name) : [];
      return [
        h("p", { class: "gist" }, sentence(now(reply, service), reply.split, service.definition.sticky.mode)),
        table(names, now(reply, service), reply.split),
        h("ul", null,
          release?.active && h("li", null, `Release ${release.id} ends as rolled back; its other steps are not taken.`),
          others.length > 0 && h("li", null, `It is of several services: ${listing(others)} go back with it.`),
          h("li", null, "Requests under way finish where they are; every new one goes by the new weights once this is answered."),
          h("li", null, "Every version stays deployed."),
          (reply.warnings ?? []).map((line) => h("li", { class: "bad" }, free(line)))),
      ];
    },
    act: (values, key) => call("POST", where, { body: {}, query: { note: values.note }, key }),
    done: (reply) => `Rolled back: ${service.name} is at ${shares(reply.split)}.`,
  });
}
