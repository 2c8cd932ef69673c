// The steps of a release in order, each with the gates before it, and what it waits for.

import { duration, listing, moment, weight, words } from "../format.js";
import { free, h, prose, unseen } from "../text.js";

const SIGNS = { done: "✓", failed: "✕", now: "●", to_come: "○", skipped: "⤼", left_out: "–" };
const SAID = { done: "done", failed: "failed", now: "now", to_come: "to come", skipped: "skipped", left_out: "left out" };

const sign = (state) => [h("span", { class: `sign ${state}`, "aria-hidden": "true" }, SIGNS[state] ?? "○"), unseen(`${SAID[state] ?? state}: `)];

/** `in 42 s`, `at 2026-12-01 06:00`. */
export function ahead(at, now) {
  if (at === null || at === undefined) return "";
  const left = at - now;
  if (left <= 0) return "now";
  return left < 6 * 3600 ? `in ${duration(left)}` : `at ${moment(at, now)}`;
}

/** All steps. */
export function timeline(release, now) {
  return h("ol", { class: "timeline" }, release.timeline.map((stage) => step(stage, release, now)));
}

function step(stage, release, now) {
  const holding = stage.state === "now" && stage.step === release.step && release.hold !== null;
  return h("li", { class: `step ${stage.state}`, "data-key": `step-${stage.step}`, "aria-current": stage.state === "now" && "step" },
    stage.gates.map((one) => gate(one, release, now)),
    h("div", { class: "stage" },
      sign(stage.state === "now" && !holding ? "to_come" : stage.state),
      h("strong", null, `${weight(stage.weight)} %`),
      h("span", { class: "what" }, stage.hold > 0 ? `for ${duration(stage.hold)}` : "then on"),
      h("span", { class: "when" }, when(stage, now))),
    holding && held(release, now));
}

function when(stage, now) {
  if (stage.from !== null) return stage.to === null ? `since ${moment(stage.from, now)}` : `${moment(stage.from, now)}, for ${duration(stage.to - stage.from)}`;
  if (stage.state === "left_out") return "left out";
  return stage.expected === null ? "" : `${ahead(stage.expected, now)} at the earliest`;
}

function gate(one, release, now) {
  const people = one.who.length > 0 ? `: ${listing(one.who)}` : "";
  const missing = one.missing.length > 0 && one.state !== "left_out" && one.state !== "skipped" ? h("span", { class: "missing" }, `waits for ${listing(one.missing)}`) : null;
  const at = one.at !== null ? moment(one.at, now) : one.until !== null ? ahead(one.until, now) : "";
  return h("div", { class: `gate ${one.state}` }, sign(one.state), h("span", { class: "what" }, free(one.text + people), missing), h("span", { class: "when" }, at));
}

/** How much of its hold is over. */
function held(release, now) {
  const { seconds, counts, until } = release.hold;
  const over = counts && until !== null ? Math.min(seconds, Math.max(0, seconds - (until - now))) : release.hold.over;
  const text = !counts
    ? `held for ${duration(over)} of ${duration(seconds)}; paused, it does not count`
    : over >= seconds
      ? `its ${duration(seconds)} are over; the verdict does not let it pass yet`
      : `held for ${duration(over)} of ${duration(seconds)}`;
  return h("div", { class: "held" }, h("progress", { max: Math.max(seconds, 1), value: Math.min(over, seconds).toFixed(1), "aria-label": "Hold" }), h("span", null, text));
}

/** What it waits for and who may open that, then what comes by itself. */
export function waits(release, now) {
  const lines = release.waiting.map((item) =>
    h("p", { class: "waits" }, h("strong", null, "Waits for "), free(item.detail), item.until !== null && `, ${ahead(item.until, now)}`, item.who && h("span", { class: "hint who" }, "Who may: ", free(item.who))));
  if (release.checking.length > 0) lines.push(h("p", { class: "waits" }, h("strong", null, "Checks now: "), free(release.checking.join(", "))));
  if (release.next !== null) {
    const { text, at, if: condition } = release.next;
    lines.push(h("p", { class: "next" }, h("strong", null, "Next "), free(text), at !== null && ` ${ahead(at, now)}`, condition && [", once ", free(condition)]));
  }
  return lines;
}

/** What its checks said. */
export function checks(release, now) {
  if (release.checks.length === 0) return null;
  const failed = release.checks.filter((one) => !one.passed).length;
  return h("section", { class: "panel", "aria-labelledby": "checks" },
    h("header", null, h("h2", { id: "checks" }, "Checks"),
      h("span", { class: failed ? "hint bad" : "hint" }, failed ? `${failed} of ${release.checks.length} failed` : `all ${release.checks.length} passed`)),
    h("ul", { class: "checks" }, release.checks.map((one) =>
      h("li", null,
        h("div", null, sign(one.passed ? "done" : "failed"), h("strong", null, free(release.services.length > 1 ? `${one.service}: ${one.name}` : one.name)),
          h("span", { class: "hint" }, `${moment(one.at, now)}, took ${duration(one.seconds) === "0 s" ? `${Math.round(one.seconds * 1000)} ms` : duration(one.seconds)}${one.current ? "" : "; of another deploy than the one of now"}`)),
        one.output && h("pre", { tabindex: "0" }, one.output)))));
}

/** Its story, the newest first. */
export function story(release, now) {
  const people = [...release.approvals.map((one) => one.actor)];
  return h("section", { class: "panel", "aria-labelledby": "story" },
    h("header", null, h("h2", { id: "story" }, "What happened"), people.length > 0 && h("span", { class: "hint" }, `approved by ${listing([...new Set(people)])}`)),
    h("ol", { class: "story" }, release.log.toReversed().map((one) =>
      h("li", null, h("time", null, moment(one.at, now)), h("span", { class: "dot", "aria-hidden": "true" }), h("p", null, h("strong", null, words(one.event)), " ", free(one.text), " ", h("span", { class: "actor" }, free(one.actor)))))));
}

/** The five questions. */
export function answers(release) {
  return h("section", { class: "panel", "aria-labelledby": "answers" },
    h("header", null, h("h2", { id: "answers" }, "The five questions")),
    h("dl", { class: "answers" }, release.answers.map((one) => [h("dt", null, one.question), h("dd", null, prose(one.answer))])));
}
