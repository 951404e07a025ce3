// Follows a job to its end, reconnecting when the connection is lost.

import { Problem, events, find } from "./api.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const WAIT_SECONDS = [1, 2, 4, 8];
const MIN_FRACTION = 0.03; // of the whole: before this, no estimate is possible

export const ended = (job) => ENDED.has(job.state);

/** Call `onChange` with each change of a job, and with the complete job at its end. Throws a Problem if the service refuses. */
export async function follow(job, onChange, signal) {
  let [known, number, tries] = [job, 0, 0];
  onChange(known);
  while (!ended(known)) {
    try {
      for await (const event of events(job.id, number, signal)) {
        number = event.number ?? number;
        tries = 0;
        known = { ...known, ...changeOf(event) };
        if (!ended(known)) onChange(known);
      }
      known = await find(job.id);
    } catch (error) {
      if (!(error instanceof Problem && isPassing(error))) throw error;
    }
    if (signal.aborted) return;
    if (!ended(known)) await sleep(WAIT_SECONDS[Math.min(tries++, WAIT_SECONDS.length - 1)], signal);
  }
  onChange(known);
}

function changeOf({ name, data }) {
  return name === "state" ? { state: data.state } : { progress_percent: data.progress_percent };
}

const isPassing = ({ kind, status }) => kind === "network" || status === 429 || status >= 500;

function sleep(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); });
  });
}

/** Estimates the remaining time from the speed so far. */
export class Estimate {
  #since = performance.now();

  /** Seconds left; null while there is too little data. `fraction`: share done, 0 to 1. */
  left(fraction, now = performance.now()) {
    const elapsed = (now - this.#since) / 1000;
    return fraction < MIN_FRACTION || elapsed < 1 ? null : (elapsed * (1 - fraction)) / fraction;
  }
}
