// Follows a job to its end, whatever becomes of the connection.

import { Problem, events, find } from "./api.js";

const ENDED = new Set(["succeeded", "failed", "cancelled"]);
const WAIT_SECONDS = [1, 2, 4, 8];
const LEAST_KNOWN = 0.03; // of the whole: before, nothing can be told of the rest

export const ended = (job) => ENDED.has(job.state);

/** Tell `onChange` of each change of a job; it is whole again when it has ended. A Problem is thrown if the service refuses to tell. */
export async function follow(job, onChange, signal) {
  let [known, number, tries] = [job, 0, 0];
  onChange(known);
  while (!ended(known)) {
    try {
      for await (const event of events(job.id, number, signal)) {
        number = event.number ?? number;
        tries = 0;
        known = { ...known, ...told(event) };
        if (!ended(known)) onChange(known);
      }
      known = await find(job.id);
    } catch (error) {
      if (!(error instanceof Problem && isPassing(error))) throw error;
    }
    if (signal.aborted) return;
    if (!ended(known)) await waited(WAIT_SECONDS[Math.min(tries++, WAIT_SECONDS.length - 1)], signal);
  }
  onChange(known);
}

function told({ name, data }) {
  return name === "state" ? { state: data.state } : { progress_percent: data.progress_percent };
}

const isPassing = ({ kind, status }) => kind === "network" || status === 429 || status >= 500;

function waited(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); });
  });
}

/** Tells how long something still takes, by how fast it went so far. */
export class Estimate {
  #since = performance.now();

  /** Seconds left, null while too little is known. `fraction`: done, 0..1. */
  left(fraction, now = performance.now()) {
    const gone = (now - this.#since) / 1000;
    return fraction < LEAST_KNOWN || gone < 1 ? null : (gone * (1 - fraction)) / fraction;
  }
}
