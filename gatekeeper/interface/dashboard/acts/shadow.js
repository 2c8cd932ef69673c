// Counting copies and differences anew.

import { call, path } from "../api.js";
import { ask } from "../dialog.js";
import { h } from "../text.js";

export function beginAnew(service) {
  ask({
    title: `Begin counting copies of ${service} anew?`,
    confirm: "Begin anew",
    preview: async () => h("p", null, "What was counted so far, and all samples, are forgotten. What is copied stays as it is."),
    act: () => call("POST", `v1/${path("services", service, "shadow", "reset")}`),
    done: () => `Copies of ${service} are counted anew.`,
  });
}
