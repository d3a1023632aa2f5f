// Keeps one media session open: tries again with growing pauses, and stops where that is of no use.

import { Refused, Session } from "./whip.js";

const FIRST_PAUSE = 0.5; // seconds
const LONGEST_PAUSE = 15;
const HEALTHY = 10000; // ms of a session after which the pauses start small again
const HOPELESS = [400, 401, 403, 404, 405, 406, 413, 415]; // the same again would be refused again

export class Keeper {
  #make;
  #told;
  #session = null;
  #wanted = false;
  #failures = 0;
  #timer = 0;
  #since = 0;

  /**
   * `make()` gives {endpoint, token, add(pc)} of the next session. `told(status)` gets {state: "idle" |
   * "opening" | "up" | "waiting" | "refused" | "closed", error, at: moment (ms) of the next attempt}.
   * "closed": the relay ended the session in good order; the page goes on with again(), or not.
   */
  constructor(make, told) {
    this.#make = make;
    this.#told = told;
    addEventListener("online", () => this.now());
    addEventListener("pagehide", () => this.#session?.close());
  }

  get session() {
    return this.#session;
  }

  start() {
    this.#wanted = true;
    this.#failures = 0;
    this.now(true);
  }

  /** `knows`: the relay has ended the session itself. So below. */
  stop(knows = false) {
    this.#wanted = false;
    this.#drop(knows);
    this.#told({ state: "idle", error: null, at: null });
  }

  /** The next attempt at once, where one is being waited for (or `always`). */
  now(always = false) {
    if (!this.#wanted || !(this.#timer || always)) return;
    this.#drop();
    this.#open();
  }

  /** Drops what there is and tries again, after `seconds` or the next pause. */
  again(error, seconds = null, knows = false) {
    if (!this.#wanted) return;
    this.#drop(knows);
    const pause = Math.min(FIRST_PAUSE * 2 ** this.#failures, LONGEST_PAUSE);
    this.#failures += 1;
    // Spread, so that all of a relay's pages do not come back in the same moment.
    const wait = seconds === null ? pause * (0.8 + 0.4 * Math.random()) : seconds * (1 + 0.1 * Math.random());
    this.#timer = setTimeout(() => this.now(), wait * 1000);
    this.#told({ state: "waiting", error, at: Date.now() + wait * 1000 });
  }

  #drop(knows = false) {
    clearTimeout(this.#timer);
    this.#timer = 0;
    this.#session?.close(knows);
    this.#session = null;
  }

  async #open() {
    const { endpoint, token, add } = this.#make();
    const session = new Session(token, (how) => this.#lost(session, how));
    this.#session = session;
    this.#told({ state: "opening", error: null, at: null });
    try {
      await session.open(endpoint, add);
      if (session !== this.#session) return;
      this.#since = performance.now();
      this.#told({ state: "up", error: null, at: null });
    } catch (error) {
      if (session !== this.#session) return;
      if (!(error instanceof Refused)) throw error;
      if (HOPELESS.includes(error.status)) {
        this.dismissed(error);
      } else this.again(error, error.retryAfter);
    }
  }

  /** The relay wants no more of this page. */
  dismissed(error) {
    this.#wanted = false;
    this.#drop(true);
    this.#told({ state: "refused", error, at: null });
  }

  #lost(session, how) {
    if (session !== this.#session) return;
    if (performance.now() - this.#since > HEALTHY) this.#failures = 0;
    this.#session = null;
    if (how === "closed") this.#told({ state: "closed", error: null, at: null });
    else this.again(new Refused(0, "the connection to the relay was lost"));
  }
}
