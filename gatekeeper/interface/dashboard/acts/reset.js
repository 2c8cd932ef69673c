// Letting a version that the trip-wire stopped have weight again.

import { call, path } from "../api.js";
import { ask, note } from "../dialog.js";
import { free, h } from "../text.js";

export function reset(service, version) {
  const where = `v1/${path("services", service.name, "trip", "reset")}`;
  const body = { versions: [version] };
  ask({
    title: `Reset the trip-wire of ${version}?`,
    confirm: "Reset it",
    more: [note()],
    preview: async () => {
      await call("POST", where, { body, query: { dry_run: 1 } });
      return [
        h("p", null, `It was stopped because: `, free(service.versions[version].tripped?.reason ?? "that is over"), "."),
        h("p", { class: "gist" }, `Nobody moves. ${version} may be given weight again, by a release or by hand; if it fails again, it is stopped again.`),
      ];
    },
    act: (values, key) => call("POST", where, { body, query: { note: values.note }, key }),
    done: () => `${version} may have weight again.`,
  });
}
