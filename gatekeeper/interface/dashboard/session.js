// Who is signed in, and what he may.

import { Refused, call, get, trust } from "./api.js";

export const session = {
  /** The document of GET /session, null while nobody is signed in. */
  who: null,

  /** Whether somebody is signed in; throws Refused when that cannot be known. */
  async look() {
    try {
      this.who = await get("session");
      trust(this.who.csrf);
    } catch (problem) {
      if (!(problem instanceof Refused) || ![401, 403].includes(problem.status)) throw problem;
      this.who = null;
    }
    return this.who !== null;
  },

  async enter(token) {
    await call("POST", "session", { body: { token } });
    return this.look();
  },

  async leave() {
    try {
      await call("DELETE", "session");
    } finally {
      this.who = null;
    }
  },

  /** Without a cookie (over a forwarded unix socket) there is nothing to sign out of. */
  get byCookie() {
    return Boolean(this.who?.csrf);
  },

  get operator() {
    return this.who?.role === "operator" || this.who?.role === "admin";
  },

  /** Whether a plan asks a group of his. */
  asked(plan) {
    const asks = [plan?.approve, ...(plan?.steps ?? []).map((step) => step.approve)];
    return asks.some((one) => one?.groups.some((group) => this.who?.groups.includes(group)));
  },

  /** Whether he may do this to a release; the server has the last word. */
  may(verb, plan) {
    return this.operator || (["approve", "reject"].includes(verb) && this.asked(plan));
  },
};
