// The page for those who are not signed in.

import { Refused } from "../api.js";
import { refusal } from "../dialog.js";
import { session } from "../session.js";
import { h, morph } from "../text.js";

/** `entered` is called once somebody is signed in; `why`: what made it necessary. */
export function signin(entered, why) {
  const wrong = h("div");
  const input = h("input", { name: "token", type: "password", autocomplete: "current-password", required: true, spellcheck: "false", autofocus: true });
  const go = h("button", { type: "submit", class: "go" }, "Sign in");
  const submit = async (event) => {
    event.preventDefault();
    if (!input.value.trim()) return input.focus();
    go.disabled = true;
    try {
      if (await session.enter(input.value.trim())) return entered();
      morph(wrong, refusal(new Refused(0, { detail: "the browser did not keep the session's cookie", allowed: "allow cookies for this address" })));
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      morph(wrong, refusal(problem));
      input.select();
    } finally {
      go.disabled = false;
    }
  };
  return h("form", { class: "signin panel", onsubmit: submit, "data-keep": true, "data-key": "signin" },
    h("h1", null, "Gatekeeper"),
    why && h("p", null, why),
    h("label", { class: "field" }, h("span", null, "Token"), input),
    wrong,
    go,
    h("p", { class: "hint" }, "An administrator makes one with ", h("code", null, "gatekeeper token add NAME --role viewer"), "."));
}
