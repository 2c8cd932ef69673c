// Numbers and moments as people read them. Unknown is a dash, never a zero.

export const NOTHING = "–";

const known = (value) => typeof value === "number" && Number.isFinite(value);

/** `82`, `8.2`, `0.8`, `12,400`. */
export function rate(value) {
  if (!known(value)) return NOTHING;
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value >= 100 ? value.toFixed(0) : value.toFixed(1);
}

/** A part as percent: `10 %`, `0.12 %`. */
export function percent(part, digits) {
  if (!known(part)) return NOTHING;
  const value = part * 100;
  if (digits !== undefined) return `${value.toFixed(digits)} %`;
  if (value === 0 || value >= 99.95) return `${value.toFixed(0)} %`;
  return `${value.toFixed(value < 1 ? 2 : 1)} %`;
}

/** A part that was decided, not measured: `10 %`, `0.5 %`, `33.33 %`. */
export const share = (part) => (known(part) ? `${Number((part * 100).toFixed(2))} %` : NOTHING);

/** A weight as it was set: `10`, `0.5`. */
export const weight = (value) => (known(value) ? String(Number(value.toFixed(6))) : NOTHING);

/** Seconds as `18 ms`, `1.24 s`. */
export function time(seconds) {
  if (!known(seconds)) return NOTHING;
  if (seconds === 0) return "0 ms";
  if (seconds >= 0.9995) return `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`;
  const ms = seconds * 1000;
  return `${ms.toFixed(ms < 9.95 ? 1 : 0)} ms`;
}

/** Seconds as `42 s`, `5 min`, `1 h 20 min`, `3 d`. */
export function duration(seconds) {
  if (!known(seconds)) return NOTHING;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 100) return `${whole} s`;
  const minutes = Math.round(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return minutes % 60 ? `${hours} h ${minutes % 60} min` : `${hours} h`;
  return `${Math.round(hours / 24)} d`;
}

const two = (value) => String(value).padStart(2, "0");

/** Wall seconds as `14:03:22`. */
export function clock(at) {
  const date = new Date(at * 1000);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** `14:03:22` today, else `2026-11-23 14:03`. */
export function moment(at, now = Date.now() / 1000) {
  if (!known(at)) return NOTHING;
  const date = new Date(at * 1000);
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  if (date.toDateString() === new Date(now * 1000).toDateString()) return clock(at);
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** Odds as `1 : 3`, `12`, `1,400`, `over a million`. */
export function odds(value) {
  if (!known(value)) return NOTHING;
  if (value >= 1e6) return "over a million";
  if (value >= 10) return Math.round(value).toLocaleString("en");
  return value >= 1 ? value.toFixed(1) : value < 0.001 ? "under 0.001" : value.toPrecision(2);
}

/** `a`, `a and b`, `a, b and c`. */
export function listing(items, last = "and") {
  const all = [...items];
  return all.length < 2 ? all.join("") : `${all.slice(0, -1).join(", ")} ${last} ${all.at(-1)}`;
}

/** `rolled_back` as `rolled back`. */
export const words = (name) => String(name).replaceAll("_", " ");

export const count = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;
