// Which colour a version has: always the same on a page, and the one of its name if its name is a colour.

const SLOTS = 6;
const NAMED = { blue: 0, green: 1, purple: 2, violet: 2, orange: 3, yellow: 3, red: 4, pink: 4, teal: 5, cyan: 5 };

/** Name -> slot, for all versions of a service in the order of the file. */
export function slots(versions) {
  const names = [...versions];
  const found = new Map(names.filter((name) => name in NAMED).map((name) => [name, NAMED[name]]));
  const free = [...Array(SLOTS).keys()].filter((slot) => ![...found.values()].includes(slot));
  let next = 0;
  for (const name of names) {
    if (!found.has(name)) found.set(name, free.length ? free[next++ % free.length] : next++ % SLOTS);
  }
  return found;
}

export const colour = (slot) => `--v${slot ?? 0}`;
export const chip = (slot) => `v v${slot ?? 0}`;
