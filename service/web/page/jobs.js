// The list of the account's jobs, newest first; each can be opened again.

import { find, listJobs } from "./api.js";
import { byId, make } from "./dom.js";
import { ended } from "./follow.js";
import { ago } from "./format.js";
import { setText } from "./i18n.js";
import { keepInTab, keptInTab } from "./kept.js";

const POLL_MILLISECONDS = 4000;

const page = { jobs: [], next: null, open: () => {}, timer: 0 };

/** Show a job's file name: from its URL, or, for an upload, as remembered by the tab that sent it. */
export function title(element, job) {
  const name = nameOf(job.id) ?? fileNameIn(job.source_url);
  return name ? setText(element, "work.named", { name }) : setText(element, `media.${job.media}`);
}

export const nameOf = (id) => keptInTab(id);
export const remember = (job, name) => name && keepInTab(job.id, name);

/** `open` is called with the chosen job; `attempt` wraps the requests made here. */
export function listenToJobs(open, attempt) {
  page.open = open;
  byId("older").addEventListener("click", attempt(() => load(page.next)));
  document.addEventListener("language", draw);
}

/** Load the newest jobs. */
export const refresh = () => load(null);

async function load(cursor) {
  const { data, next_cursor: next } = await listJobs(cursor);
  const cleaned = data.filter(({ kind }) => kind !== "detect"); // those have no picture to show
  page.jobs = cursor ? [...page.jobs, ...cleaned] : cleaned;
  page.next = next;
  draw();
  poll();
}

/** Poll the unfinished jobs until they have ended. */
function poll() {
  clearTimeout(page.timer);
  const running = page.jobs.filter((job) => !ended(job));
  if (running.length) page.timer = setTimeout(() => update(running).catch(() => {}).finally(poll), POLL_MILLISECONDS);
}

async function update(running) {
  const now = await Promise.all(running.map(({ id }) => find(id)));
  page.jobs = page.jobs.map((job) => now.find(({ id }) => id === job.id) ?? job);
  draw();
}

export function forgetJobs() {
  clearTimeout(page.timer);
  Object.assign(page, { jobs: [], next: null });
  draw();
}

function draw() {
  const focused = document.activeElement?.dataset?.job;
  byId("no-jobs").hidden = page.jobs.length > 0;
  byId("older").hidden = !page.next;
  byId("job-list").replaceChildren(...page.jobs.map(item));
  if (focused) byId("job-list").querySelector(`[data-job="${CSS.escape(focused)}"]`)?.focus();
}

function item(job) {
  const state = job.state === "succeeded" && !job.result?.mark_found ? "state.nothing" : `state.${job.state}`;
  const thumbnail = job.result && make("img", { src: job.result.thumbnail_url, alt: "", loading: "lazy" });
  const button = make("button", { type: "button", className: "job", onclick: () => page.open(job) },
    thumbnail ?? make("span", { className: "blank" }),
    title(make("span", { className: "name" }), job),
    make("span", { className: `hint state ${job.state}` }, setText(make("span"), state), ` · ${ago(Date.parse(job.created_at))}`),
  );
  button.dataset.job = job.id;
  return make("li", {}, button);
}

function fileNameIn(address) {
  if (!address) return null;
  try {
    const url = new URL(address);
    return decodeURIComponent(url.pathname.split("/").at(-1)) || url.host;
  } catch { // an invalid escape
    return address;
  }
}
