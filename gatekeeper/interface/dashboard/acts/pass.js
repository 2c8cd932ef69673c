// A signed pass, with which a tester sees a version that users do not see.

import { call, path } from "../api.js";
import { ask, select } from "../dialog.js";
import { moment } from "../format.js";
import { free, h } from "../text.js";

const HOUR = 3600;
const TIMES = [[HOUR, "1 hour"], [8 * HOUR, "8 hours"], [24 * HOUR, "1 day"], [7 * 24 * HOUR, "7 days"]];

export function pass(service) {
  const names = Object.keys(service.versions);
  const candidate = service.release?.to ?? names.find((name) => name !== service.stable) ?? names[0];
  const { header, keys, query } = service.definition.testers;
  ask({
    title: `A tester's pass for ${service.name}`,
    confirm: "Issue the pass",
    fields: [
      select("Version", "version", names.map((name) => [name, name]), candidate),
      select("Valid for", "ttl", TIMES.map(([seconds, text]) => [String(seconds), text]), String(8 * HOUR)),
    ],
    needed: ["version"],
    preview: async ({ version }) => [
      h("p", null, `Whoever has the pass may see ${version}, from anywhere, until it expires. Their requests are counted apart and sway no verdict.`),
      keys === 0 && h("p", { class: "warn" }, "The service has no key to sign passes with (testers.keys in the file)."),
    ],
    act: ({ version, ttl }) => call("POST", `v1/${path("services", service.name, "passes")}`, { body: { versions: [version], ttl: Number(ttl) } }),
    result: (reply) => {
      const version = reply.versions[0];
      const fields = `${header}: ${version}\nX-Gatekeeper-Pass: ${reply.pass}`;
      const host = service.hosts.find((name) => !name.startsWith("*")) ?? "HOST";
      const link = `https://${host}${service.path_prefix}?gatekeeper-version=${encodeURIComponent(version)}`;
      return [
        h("p", { class: "gist" }, `Valid until ${moment(reply.expires)}. It is not shown again.`),
        copied("Header fields for the tester's browser or program", fields),
        query && copied("A browser that sends the pass once with this link keeps the version for its session", link),
      ];
    },
    done: () => `A pass for ${service.name} was issued.`,
  });
}

function copied(label, text) {
  const box = h("textarea", { readonly: true, rows: text.includes("\n") ? 4 : 2, "aria-label": label }, text);
  const button = h("button", { type: "button", class: "plain", onclick: () => copy(box, button) }, "Copy");
  return h("div", { class: "copied" }, h("p", null, free(label)), box, button);
}

/** The clipboard is there on secure origins only; else the text is selected for the keyboard. */
async function copy(box, button) {
  box.select();
  try {
    await navigator.clipboard.writeText(box.value);
    button.textContent = "Copied";
  } catch {
    button.textContent = "Selected: press Ctrl+C";
  }
}
