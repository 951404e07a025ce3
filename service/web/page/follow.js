// Follows a job to its end, reconnecting when the connection is lost, and says how long it still takes.

import { Problem, events, find } from "./api.js";
import { pause } from "./upload.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const WAIT_SECONDS = [1, 2, 4, 8];
const MIN_FRACTION = 0.03; // of the whole: before this, no estimate is possible
const MAX_RISE = 1.1; // of the time that was last said to be left
const LEAST_SECONDS = 2; // without another estimate it counts down to this, from where it can rise again

export const ended = (job) => ENDED.has(job.state);

/**
 * Call `onChange` with each change of a job, and with the complete job at its end. While the service is away, the job has `isAway`.
 * Throws a Problem if the service refuses.
 */
export async function follow(job, onChange, signal) {
  let [known, number, tries] = [job, 0, 0];
  onChange(known);
  while (!ended(known)) {
    try {
      for await (const event of events(job.id, number, signal)) {
        number = event.number ?? number;
        tries = 0;
        known = { ...known, ...changeOf(event), isAway: false };
        if (!ended(known)) onChange(known);
      }
      known = await find(job.id);
    } catch (error) {
      if (!(error instanceof Problem && isPassing(error))) throw error;
      known = { ...known, isAway: true };
    }
    if (signal.aborted) return;
    if (ended(known)) break;
    onChange(known);
    await pause(WAIT_SECONDS[Math.min(tries++, WAIT_SECONDS.length - 1)], signal);
  }
  onChange(known);
}

function changeOf({ name, data }) {
  return name === "state" ? { state: data.state } : data;
}

const isPassing = ({ kind, status }) => kind === "network" || status === 429 || status >= 500;

/** Estimates the remaining time of an upload from its speed so far. */
export class Estimate {
  #since = performance.now();

  /** Seconds left; null while there is too little data. `fraction`: share done, 0 to 1. */
  left(fraction, now = performance.now()) {
    const elapsed = (now - this.#since) / 1000;
    return fraction < MIN_FRACTION || elapsed < 1 ? null : (elapsed * (1 - fraction)) / fraction;
  }
}

/**
 * What is said to be left: it never climbs by more than a tenth. Between two estimates it counts down, ever more slowly, so that it is
 * not at its end before the job is, and not at all while the last estimate is beyond what it may climb to.
 */
export class Countdown {
  #seconds = null;
  #at = 0;
  #isBehind = false;

  /** Take an estimate in seconds (null: none), and return what to say. */
  take(estimate, now = performance.now()) {
    const before = this.left(now);
    const isKnown = estimate !== null && estimate !== undefined;
    this.#isBehind = isKnown && before !== null && estimate > before * MAX_RISE;
    this.#seconds = this.#isBehind ? before * MAX_RISE : isKnown ? estimate : before;
    this.#at = now;
    return this.#seconds;
  }

  /** Seconds left; null if nobody knows. */
  left(now = performance.now()) {
    if (!this.#seconds || this.#isBehind) return this.#seconds;
    const counted = this.#seconds * Math.exp(-(now - this.#at) / 1000 / this.#seconds);
    return Math.max(counted, Math.min(this.#seconds, LEAST_SECONDS));
  }
}
