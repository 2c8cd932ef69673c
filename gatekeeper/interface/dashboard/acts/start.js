// Starting a release.

import { call, get, path } from "../api.js";
import { ask, field, note, select } from "../dialog.js";
import { duration, listing, share } from "../format.js";
import { free, h } from "../text.js";

export async function start(service) {
  const { plans, defaults } = await get("v1/plans");
  const others = Object.keys(service.versions).filter((name) => name !== service.stable);
  const usual = defaults[service.name] ?? "direct";
  const known = [...plans.map((plan) => plan.name), ...(plans.some((plan) => plan.name === "direct") ? [] : ["direct"])];
  const where = `v1/${path("services", service.name, "releases")}`;
  const body = ({ to, plan, at, note: text }) => ({ to, plan, note: text, ...(at ? { at: new Date(at).getTime() / 1000 } : {}) });
  let match;
  ask({
    title: `Release a version of ${service.name}`,
    confirm: "Start the release",
    fields: [
      select("Version", "to", others.map((name) => [name, service.versions[name].build ? `${name} (build ${service.versions[name].build})` : name])),
      select("Plan", "plan", known.map((name) => [name, name === usual ? `${name} (the usual one)` : name === "direct" ? "direct: everything at once" : name]), usual),
      field("Not before (optional, your local time)", "at", { type: "datetime-local" }),
      note(),
    ],
    preview: async (values) => {
      const reply = await call("POST", where, { body: body(values), query: { dry_run: 1 } });
      match = reply.base;
      return about(reply.release);
    },
    act: (values, key) => call("POST", where, { body: body(values), match, key }),
    done: (reply) => `Release ${reply.release.id} of ${service.name} to ${reply.release.moves[0].to}: ${reply.release.headline}.`,
  });
}

/** The plan in words. */
function about(release) {
  const { plan } = release;
  const decides = release.answers.find((one) => one.key === "decides");
  return [
    h("p", { class: "gist" }, `${listing(release.moves.map((move) => `${move.service} from ${move.from} to ${move.to}`))}, in ${plan.steps.length} ${plan.steps.length === 1 ? "step" : "steps"}:`),
    h("ol", { class: "steps" }, plan.steps.map((step) =>
      h("li", null, h("strong", null, share(step.weight / 100)), step.hold > 0 && ` for ${duration(step.hold)}`, step.approve && `, once ${listing(step.approve.groups)} ${step.approve.groups.length > 1 ? "approve" : "approves"}`, step.pause && ", once somebody resumes it"))),
    h("ul", null,
      plan.verify.length > 0 && h("li", null, "First it is verified: ", free(listing(plan.verify))),
      plan.analysis && h("li", null, "It is judged while it goes: worse than the stable version, and it goes back by itself."),
      decides && h("li", null, "Who decides: ", free(decides.answer)),
      release.next && h("li", null, "Next: ", free(release.next.text), release.next.if && [", once ", free(release.next.if)])),
  ];
}
