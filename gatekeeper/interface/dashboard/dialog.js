// A question before something changes: what will happen, by gatekeeper's own dry run, then one button that does it.

import { Refused, fresh } from "./api.js";
import { count } from "./format.js";
import { free, h, morph } from "./text.js";

const SETTLE = 200; // ms after the last key until the dry run is asked again
const STAYS = 60_000; // ms an outcome is shown

/** A labelled input; `more` are its attributes. */
export function field(label, name, more = {}, hint = null) {
  return h("label", { class: "field" }, h("span", null, label), h("input", { name, autocomplete: "off", ...more }), hint && h("small", null, hint));
}

export function select(label, name, options, chosen) {
  return h("label", { class: "field" }, h("span", null, label),
    h("select", { name }, options.map(([value, text]) => h("option", { value, selected: value === chosen }, text))));
}

/** A reason or note, for the history. */
export const note = (label = "Note for the history (optional)", more = {}) => field(label, "note", { maxlength: 1000, ...more });

/** What was refused, and the way out. */
export function refusal(problem) {
  return h("div", { class: "refused", role: "alert" },
    problem.lines.map((line) => h("p", null, free(line))), problem.allowed && h("p", { class: "hint" }, "Possible: ", free(problem.allowed)));
}

/**
 * Open it. `fields`: elements above what will happen, `more` below; `preview(values)` gives what will happen as elements (throws Refused: then that is shown
 * and nothing can be confirmed); `act(values, key)` does it; `done(reply)` gives the outcome in a sentence, or null
 * when `result(reply)` shows it in the dialog. `needed`: names of fields that must not be empty.
 */
export function ask({ title, fields = [], more = [], confirm, tone = "", preview, act, done, result, needed = [] }) {
  const about = h("div", { class: "about", "aria-live": "polite" });
  const wrong = h("div");
  const go = h("button", { type: "submit", class: `go ${tone}`, disabled: true }, confirm);
  const quit = h("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Cancel");
  const form = h("form", { method: "dialog", novalidate: true }, h("h2", { id: "asked" }, title), fields, about, more, wrong, h("div", { class: "buttons" }, go, quit));
  const dialog = h("dialog", { "aria-labelledby": "asked", class: tone }, form);
  const values = () => Object.fromEntries(new FormData(form));
  const filled = () => needed.every((name) => values()[name]?.trim());
  let [turn, timer, ready, busy] = [0, null, false, false];
  let [sent, key] = ["", ""];

  const settle = () => (go.disabled = busy || !ready || !filled());

  async function look(told = false) {
    const mine = ++turn;
    ready = false;
    settle();
    try {
      const found = preview ? await preview(values()) : [];
      if (mine !== turn) return;
      morph(about, found);
      if (!told) morph(wrong);
      ready = true;
    } catch (problem) {
      if (mine !== turn) return;
      show(problem);
    }
    settle();
  }

  function show(problem) {
    if (!(problem instanceof Refused)) throw problem;
    morph(wrong, refusal(problem));
  }

  async function submit() {
    busy = true;
    settle();
    go.textContent = "…";
    try {
      // The same request again has the same key: what an answer that got lost did is not done twice.
      const said = JSON.stringify(values());
      if (said !== sent) [sent, key] = [said, fresh()];
      const reply = await act(values(), key);
      document.dispatchEvent(new Event("acted")); // what is below is from before
      if (result) {
        morph(about, result(reply));
        morph(wrong);
        go.hidden = true;
        quit.textContent = "Close";
        quit.focus();
      } else dialog.close();
      if (done) tell(done(reply), reply);
    } catch (problem) {
      show(problem);
      if (problem.status === 412) look(true); // somebody was faster: what would happen now is something else
    } finally {
      busy = false;
      go.textContent = confirm;
      settle();
    }
  }

  form.onsubmit = (event) => {
    event.preventDefault();
    if (!go.disabled) submit();
  };
  form.oninput = () => {
    ready = false; // nothing is confirmed whose outcome was not shown
    settle();
    turn++;
    clearTimeout(timer);
    timer = setTimeout(() => look(), SETTLE);
  };
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    turn++;
    dialog.remove();
  });
  document.body.append(dialog);
  dialog.showModal();
  const first = form.querySelector("input, select");
  if (fields.length > 0) first?.focus();
  look().then(() => fields.length === 0 && go.focus());
  return dialog;
}

/** Say what came of it, with its revision and until when all workers had it. */
export function tell(text, reply) {
  const outcome = document.getElementById("outcome");
  const said = [text, taken(reply)].filter(Boolean).join(" ");
  document.getElementById("said").textContent = said;
  const close = () => morph(outcome);
  morph(outcome, h("p", null, free(said), (reply?.warnings ?? []).map((line) => h("strong", { class: "warning" }, free(line)))),
    h("button", { type: "button", class: "plain", onclick: close, "aria-label": "Close this message" }, "✕"));
  clearTimeout(outcome.timer);
  outcome.timer = setTimeout(close, STAYS);
}

/** `Revision 18, taken up by 2 of 2 workers in 3.4 ms.` */
export function taken(reply) {
  if (!reply || typeof reply.revision !== "number" || reply.workers === undefined) return "";
  if (reply.base === reply.revision) return `It was so already, at revision ${reply.revision}.`;
  const { acknowledged, total } = reply.workers;
  return `Revision ${reply.revision}, taken up by ${acknowledged} of ${count(total, "worker")} in ${reply.ms.toFixed(1)} ms.`;
}
