// A plan's checks against a version, now. No user sees it.

import { call, get, path } from "../api.js";
import { ask, select } from "../dialog.js";
import { count } from "../format.js";
import { free, h } from "../text.js";

const PATIENCE = 130_000; // ms: checks are ended after two minutes

export async function verify(service) {
  const { plans, defaults } = await get("v1/plans");
  const known = plans.filter((plan) => plan.verify.length > 0 || plan.steps[0].verify.length > 0);
  const names = Object.keys(service.versions);
  const candidate = service.release?.to ?? names.find((name) => name !== service.stable) ?? service.stable;
  const checks = (name) => {
    const plan = known.find((one) => one.name === name);
    return plan ? [...plan.verify, ...plan.steps[0].verify] : [];
  };
  ask({
    title: `Verify a version of ${service.name}`,
    confirm: "Run the checks",
    fields: known.length === 0 ? [] : [
      select("Version", "version", names.map((name) => [name, name]), candidate),
      select("Plan", "plan", known.map((plan) => [plan.name, plan.name]), defaults[service.name]),
    ],
    needed: ["version", "plan"],
    preview: async ({ plan }) =>
      known.length === 0
        ? h("p", null, "No plan in the file makes checks.")
        : [h("p", null, "No user sees it and nothing changes. These run now:"), h("ul", null, checks(plan).map((name) => h("li", null, free(name))))],
    act: ({ version, plan }) => call("POST", `v1/${path("services", service.name, "verify")}`, { body: { version, plan }, patience: PATIENCE }),
    result: (reply) => [
      h("p", { class: `gist ${reply.passed ? "good" : "bad"}` }, reply.passed ? `${reply.version} passed ${count(reply.results.length, "check")}.` : `${reply.version} failed: ${reply.results.filter((one) => !one.passed).length} of ${count(reply.results.length, "check")}.`),
      h("ul", { class: "checks" }, reply.results.map((one) =>
        h("li", null, h("div", null, h("span", { class: `sign ${one.passed ? "done" : "failed"}` }, one.passed ? "✓" : "✕"), h("strong", null, free(one.name)), h("span", { class: "hint" }, `${Math.round(one.seconds * 1000)} ms`)), one.output && h("pre", { tabindex: "0" }, one.output)))),
    ],
    done: (reply) => `Checks of ${service.name} ${reply.version}: ${reply.passed ? "passed" : "failed"}.`,
  });
}
