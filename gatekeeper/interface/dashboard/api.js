// Requests to the admin API of this page's own origin. Who asks is the session cookie's affair; see session.js.

const PATIENCE = 35_000; // ms: a command that has no outcome is answered after 25 s

const SESSION = "session"; // where who is signed in is asked, and changed

let csrf = "";
let asking = new AbortController();

/** Somebody is signed in. `word` is what every change needs beside the cookie; null where no cookie says who it is. */
export function trust(word) {
  csrf = word ?? "";
  if (asking.signal.aborted) asking = new AbortController();
}

/** Ask for nothing more until somebody is signed in: what is refused is an error in the browser's console. */
export function hush() {
  asking.abort();
}

/** What gatekeeper refused, in its own words. `status` 0: it could not be reached. */
export class Refused extends Error {
  constructor(status, document) {
    super(document.detail || document.title || `answered ${status}`);
    this.status = status;
    this.code = document.code ?? "";
    this.allowed = document.allowed ?? "";
    this.problems = document.problems ?? [];
  }

  /** Everything that is wrong, one line each. */
  get lines() {
    const found = this.problems.map((one) => (one.path ? `${one.path}: ${one.message}` : one.message));
    return [this.message, ...found.filter((line) => line !== this.message)];
  }
}

export const get = (path, query) => call("GET", path, { query });

/** A path of segments, each of which may hold anything. */
export const path = (...segments) => segments.map((one) => encodeURIComponent(one)).join("/");

/**
 * The JSON of the answer. Throws Refused. `match` is the revision it must still be, `key` makes a repetition harmless.
 */
export async function call(method, where, { body, query, match, key, patience = PATIENCE } = {}) {
  const url = new URL(where, document.baseURI);
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null && value !== "") url.searchParams.set(name, value);
  }
  const headers = { Accept: "application/json" };
  if (method !== "GET" && csrf) headers["X-Gatekeeper-CSRF"] = csrf;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (match !== undefined && match !== null) headers["If-Match"] = `"${match}"`;
  if (key) headers["Idempotency-Key"] = key;
  const end = new AbortController();
  const timer = setTimeout(() => end.abort(), patience);
  try {
    const answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: where === SESSION ? end.signal : AbortSignal.any([end.signal, asking.signal]),
    });
    const text = await answer.text();
    const document_ = text && (answer.headers.get("Content-Type") ?? "").includes("json") ? JSON.parse(text) : {};
    if (!answer.ok) throw new Refused(answer.status, document_);
    return document_;
  } catch (problem) {
    if (problem instanceof Refused) throw problem;
    const detail = end.signal.aborted
      ? `gatekeeper did not answer within ${patience / 1000} s`
      : "gatekeeper cannot be reached";
    throw new Refused(0, { detail, allowed: "try again; what was asked for is done once, however often it is sent" });
  } finally {
    clearTimeout(timer);
  }
}

/** A key that nobody else has; crypto.randomUUID is missing where the page came by plain HTTP. */
export function fresh() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
