// What people do to a flag. Off is one click and a confirmation, as a rollback is.

import { call, path } from "../api.js";
import { ask, field, note } from "../dialog.js";
import { weight } from "../format.js";
import { h } from "../text.js";
import { chance, standing } from "../parts/flag.js";

const where = (flag, ...more) => `v1/${path("flags", flag.name, ...more)}`;
const button = (text, onclick, more = {}) => h("button", { type: "button", onclick, ...more }, text);

/** The buttons of a flag as it is now. */
export function flagActs(flag) {
  const going = flag.state === "on" || flag.state === "candidate";
  return h("div", { class: "acts", role: "group", "aria-label": `Acts on flag ${flag.name}` },
    flag.state === "off" && button("Turn on…", () => on(flag), { class: "go", "data-key": "on" }),
    going && button("Turn off…", () => off(flag), { class: "rollback", "data-key": "off" }),
    flag.killed && button("Revive…", () => revive(flag), { "data-key": "revive" }),
    button("Share…", () => portion(flag), { "data-key": "share" }),
    !flag.killed && button("Kill…", () => kill(flag), { class: "plain", "data-key": "kill" }));
}

/** A dialog about one request; `means` says in sentences what it does, beside what gatekeeper's dry run says. */
function change(flag, { method = "POST", to, title, confirm, tone = "", fields = [], reason = false, body, means }) {
  let match;
  const ready = (values) => !reason || values.note?.trim();
  ask({
    title,
    confirm,
    tone,
    fields: [...fields, note(reason ? "Reason" : "Note for the history (optional)", reason ? { required: true } : {})],
    needed: reason ? ["note"] : [],
    preview: async (values) => {
      const asked = body(values, ready(values) ? values.note : "-"); // only to see what it would do
      const reply = await call(method, to, { body: asked.body, query: { ...asked.query, dry_run: 1 } });
      match = reply.base;
      if (reply.base === reply.revision) return h("p", { class: "gist" }, "It is so already: nothing would change.");
      return [h("p", { class: "gist" }, `${flag.name}: ${chance(reply.now)}.`), means.map((line) => h("p", { class: "hint" }, line))];
    },
    act: (values, key) => {
      const asked = body(values, values.note);
      return call(method, to, { body: asked.body, query: asked.query, match, key });
    },
    done: (reply) => `Flag ${flag.name} is ${standing(reply.now)}: ${chance(reply.now)}.`,
  });
}

const switched = (more = {}) => (_, reason) => ({ body: { ...more, reason } });

const on = (flag) => change(flag, {
  to: where(flag, "on"), title: `Turn ${flag.name} on?`, confirm: "Turn it on", body: switched(),
  means: ["Once this is answered every new request is decided by it; who has it keeps it while the share grows."],
});

const off = (flag) => change(flag, {
  to: where(flag, "off"), title: `Turn ${flag.name} off?`, confirm: "Turn it off now", tone: "danger", body: switched(),
  means: ["Its share stays for the next time it is turned on, and then the same people have it."],
});

const kill = (flag) => change(flag, {
  to: where(flag, "off"), title: `Kill ${flag.name}?`, confirm: "Kill it", tone: "danger", body: switched({ kill: true }),
  means: ["It stays off until somebody revives it, with a reason: no schedule, no release and no file turns it on."],
});

const revive = (flag) => change(flag, {
  to: where(flag, "on"), title: `Revive ${flag.name}?`, confirm: "Revive it", reason: true, body: switched({ revive: true }),
  means: ["It was killed. Your name and reason stand in the history."],
});

function portion(flag) {
  const single = flag.percent !== null;
  const names = single ? ["percent"] : Object.keys(flag.variants);
  const box = (name) => field(single ? "Percent of users" : `Weight of ${name}`, single ? name : `variant ${name}`, {
    type: "number", min: 0, max: single ? 100 : null, step: "any", value: weight(single ? flag.percent : (flag.split[name] ?? 0)),
  });
  const wanted = (values) => (single
    ? { percent: Number(values.percent || 0) }
    : { split: Object.fromEntries(names.map((name) => [name, Number(values[`variant ${name}`] || 0)])) });
  change(flag, {
    method: "PUT", to: where(flag), title: `Share of ${flag.name}`, confirm: "Set the share", fields: names.map(box),
    body: (values, reason) => ({ body: wanted(values), query: { note: reason } }),
    means: ["Nobody moves without need: who has it keeps it as long as the share does not fall."],
  });
}
