// Weights by hand, with a look at who would move.

import { call, path } from "../api.js";
import { ask, note } from "../dialog.js";
import { weight } from "../format.js";
import { h } from "../text.js";
import { chip, slots } from "../palette.js";
import { shares, total } from "../parts/traffic.js";
import { now, sentence, table } from "./moving.js";

const STEP = 0.1;

export function split(service) {
  const names = Object.keys(service.versions);
  const where = `v1/${path("services", service.name, "split")}`;
  const sum = total(service.split) || 100;
  const inputs = new Map();
  let match;

  // With two versions what one loses the other gets; with more each is set by itself.
  const follow = (name, value, typed) => {
    const set = (one, given) => {
      // What is being typed is left alone: "0." is on its way to 0.5.
      for (const input of inputs.get(one)) if (input !== typed) input.value = weight(given);
    };
    set(name, value);
    if (names.length === 2) set(names.find((one) => one !== name), Math.max(0, sum - value));
  };
  const slider = (name) => {
    const value = weight(service.split[name] ?? 0);
    const heard = (event) => event.target.value !== "" && follow(name, Math.max(0, Number(event.target.value)), event.target);
    const range = h("input", { type: "range", min: 0, max: Math.max(sum, 100), step: STEP, value, "aria-label": `Weight of ${name}`, oninput: heard });
    const number = h("input", { type: "number", name, min: 0, step: "any", value, "aria-label": `Weight of ${name}, as a number`, oninput: heard });
    inputs.set(name, [range, number]);
    return h("div", { class: "slider" }, h("span", { class: chip(slots(names).get(name)) }, name), range, number);
  };
  const wanted = (values) => Object.fromEntries(names.map((name) => [name, Number(values[name] || 0)]));

  ask({
    title: `Weights of ${service.name}`,
    confirm: "Set weights",
    fields: [h("div", { class: "sliders" }, names.map(slider)), note()],
    preview: async (values) => {
      const reply = await call("PUT", where, { body: wanted(values), query: { dry_run: 1 } });
      match = reply.base;
      return [
        h("p", { class: "gist" }, sentence(now(reply, service), reply.split, service.definition.sticky.mode)),
        table(names, now(reply, service), reply.split),
        h("p", { class: "hint" }, `The weights are ${shares(reply.split)} then.`),
      ];
    },
    act: (values, key) => call("PUT", where, { body: wanted(values), query: { note: values.note }, match, key }),
    done: (reply) => `${service.name} is at ${shares(reply.split)}.`,
  });
}
