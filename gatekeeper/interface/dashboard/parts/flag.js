// A flag in a few words.

import { listing, share } from "../format.js";

export const total = (flag) => Object.values(flag.split).reduce((all, weight) => all + weight, 0);

/** `light 90 %, dark 10 %`. */
export const shares = (flag) => listing(Object.keys(flag.split).filter((name) => flag.split[name] > 0).map((name) => `${name} ${share(flag.split[name] / total(flag))}`), "and");

/** `on`, `off`, `killed`, `on with green`. */
export const standing = (flag) => (flag.state === "candidate" ? `on with ${flag.following}` : flag.state);

export const tone = (flag) => ({ on: "good", candidate: "go", killed: "bad" })[flag.state] ?? "";

/** For how many it is on, or would be. */
export function chance(flag) {
  const who = flag.percent === null ? shares(flag) : flag.percent === 100 ? "everybody" : share(flag.percent / 100);
  if (flag.state === "on") return flag.percent === null ? who : `on for ${who}`;
  if (flag.state === "candidate") return `on for who gets ${flag.following}`;
  return `everybody gets ${flag.off}; once on: ${who}`;
}
