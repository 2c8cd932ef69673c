// What people do to a release: each act says what it means before it is done.

import { call, path } from "../api.js";
import { ask, note } from "../dialog.js";
import { duration, listing, share, words } from "../format.js";
import { h } from "../text.js";
import { shares } from "../parts/traffic.js";
import { ahead } from "../parts/timeline.js";
import { sentence } from "./moving.js";

/** Verb -> its button, and what it means. `reason`: it must be given. `exact`: only while nothing else has changed. */
const ACTS = {
  approve: { label: "Approve", confirm: "Approve", means: agree },
  reject: { label: "Reject", confirm: "Reject it", tone: "bad", reason: true, means: (release) => [`The release ends, and users are where they were before: ${before(release)}.`] },
  pause: { label: "Pause", confirm: "Pause it", means: (release) => [`It stays where it is: ${listing(release.moves.map((move) => `${move.service} at ${shares(move.split ?? move.before)}`))}. Holds stop counting; checks that fail and the trip-wire still act.`] },
  resume: { label: "Resume", confirm: "Resume it", means: (release) => ["It goes on where it was paused.", release.next && `Then: ${release.next.text}.`] },
  skip: { label: "Skip", confirm: "Skip it", reason: true, exact: true, means: (release) => [`What it is at now is left out: ${at(release)}.`, "Your name and reason stay with the release."] },
  promote: { label: "Promote now", confirm: "Promote now", exact: true, means: (release) => [`${listing(release.moves.map((move) => `${move.to} gets all users of ${move.service}`))} now and becomes stable.`, left(release), `The version of before is kept for ${duration(release.plan.retain)}.`] },
  abort: { label: "Abort", confirm: "Abort it", tone: "bad", means: (release) => [`The release ends, and users are where they were before: ${before(release)}.`] },
};

export const ORDER = ["approve", "reject", "resume", "pause", "skip", "promote", "abort"];

export const label = (verb) => ACTS[verb]?.label ?? words(verb);

const before = (release) => listing(release.moves.map((move) => `${move.service} at ${shares(move.before)}`));

function at(release) {
  if (release.state === "verifying") return `its checks (${listing(release.checking)})`;
  if (release.state === "progressing") return `the rest of the hold at ${share(release.plan.steps[release.step].weight / 100)}`;
  return listing(release.waiting.map((item) => item.detail)) || release.headline;
}

function left(release) {
  const rest = release.plan.steps.slice(release.step + 1).map((step) => share(step.weight / 100));
  return rest.length > 0 && `Left out: ${listing(rest)}, with their holds and checks.`;
}

function agree(release, now) {
  const gate = release.waiting.find((item) => item.kind === "approval");
  const lines = [gate ? `You agree, as ${gate.detail}.` : "You agree to the next step that asks somebody."];
  if (release.next) lines.push(`Next: ${release.next.text}${release.next.at === null ? "" : `, ${ahead(release.next.at, now)}`}${release.next.if ? `, once ${release.next.if}` : ""}.`);
  return lines;
}

export function act(verb, service, release, now) {
  const { confirm, tone = "", reason = false, exact = false, means } = ACTS[verb];
  const where = `v1/${path("services", service.name, "releases", release.id, verb)}`;
  const gate = verb === "approve" ? release.waiting.find((item) => item.kind === "approval")?.gate : undefined;
  const body = (values) => ({ reason: values.note ?? "", ...(gate ? { gate } : {}) });
  let match; // the revision that the preview is of
  ask({
    title: `${label(verb)}: release ${release.id} of ${listing(release.services)}`,
    confirm,
    tone,
    fields: [note(reason ? "Reason" : "Reason (optional)", reason ? { required: true } : {})],
    needed: reason ? ["note"] : [],
    preview: async (values) => {
      const asked = body(values);
      if (reason && !asked.reason) asked.reason = "-"; // only to see what it would do
      const reply = await call("POST", where, { body: asked, query: { dry_run: 1 } });
      match = reply.base;
      const after = reply.split ?? {};
      const moves = Object.keys(after).length > 0 && shares(after) !== shares(service.split);
      if (reply.base === reply.revision) return h("p", { class: "gist" }, "It is so already: nothing would change.");
      return [
        means(release, now).filter(Boolean).map((line) => h("p", null, line)),
        moves && h("p", { class: "gist" }, sentence(service.split, after, service.definition.sticky.mode)),
      ];
    },
    act: (values, key) => call("POST", where, { body: body(values), match: exact ? match : undefined, key }),
    done: (reply) => `Release ${release.id}: ${reply.release.headline}.`,
  });
}
