// The stream of numbers: one connection, opened again whenever it ends, with longer and longer pauses.

const FIRST = 500; // ms before the first try again
const LONGEST = 10_000;
const SILENT = 6_000; // ms without the tick of every second: the line is dead, or the supervisor hangs
const HIDDEN = 3_000; // ms: a page that nobody sees gives its connection back: a browser has six to one host
const KINDS = ["past", "tick", "change", "gap", "dropped"];

export class Live {
  /**
   * `told(kind, document)` for every event; `standing(state)` with "live", "lost"; `allowed()` is asked before each
   * try again, and says whether somebody is still signed in (throws when nobody answers).
   */
  constructor({ told, standing, allowed }) {
    this.told = told;
    this.standing = standing;
    this.allowed = allowed;
    this.service = null;
    this.source = null;
    this.pause = FIRST;
    this.wanted = false;
    document.addEventListener("visibilitychange", () => this.seen());
  }

  seen() {
    clearTimeout(this.hiding);
    if (document.hidden) this.hiding = setTimeout(() => this.rest(), HIDDEN);
    else if (this.wanted && this.source === null) this.again();
  }

  /** Watch all services, and all ten minutes of `service`. */
  open(service) {
    const same = this.source !== null && service === this.service;
    this.service = service;
    this.wanted = true;
    if (!same) this.connect();
  }

  close() {
    this.wanted = false;
    this.rest();
  }

  rest() {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
  }

  connect() {
    this.rest();
    const url = new URL("v1/live", document.baseURI);
    if (this.service !== null) url.searchParams.set("service", this.service);
    const source = new EventSource(url);
    this.source = source;
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (source !== this.source) return;
        this.alive();
        this.told(kind, JSON.parse(event.data));
      });
    }
    source.onerror = () => source === this.source && this.lost();
    this.watch();
  }

  watch() {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => this.lost(), SILENT);
  }

  alive() {
    this.watch();
    this.pause = FIRST;
    this.standing("live");
  }

  lost() {
    this.rest();
    this.standing("lost");
    // Not all at the same moment: whoever restarts a supervisor with fifty pages open would feel it.
    this.timer = setTimeout(() => this.again(), this.pause * (0.75 + Math.random() / 2));
    this.pause = Math.min(LONGEST, this.pause * 2);
  }

  async again() {
    try {
      if (await this.allowed()) this.connect();
    } catch {
      this.lost();
    }
  }
}
