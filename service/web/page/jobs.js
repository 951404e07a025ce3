// The list of the account's files, newest first: searched, filtered, opened again, deleted.

import { find, listJobs, remove } from "./api.js";
import { byId, make } from "./dom.js";
import { ended } from "./follow.js";
import { ago } from "./format.js";
import { label, setText, t } from "./i18n.js";

const POLL_MILLISECONDS = 4000;
const PAGE_JOBS = 12;
const TYPING_MILLISECONDS = 250;

const page = { jobs: [], next: null, open: () => {}, attempt: (act) => act, onDelete: () => {}, timer: 0, typing: 0, asked: 0 };

/** Show a job's file name. */
export function title(element, job) {
  const name = nameOf(job);
  return name ? setText(element, "work.named", { name }) : setText(element, `media.${job.media}`);
}

export const nameOf = (job) => job.name;

/** The newest listed job that has a result; `media`: of this kind only, if given. */
export const newestResult = (media) => page.jobs.find((job) => job.result && (!media || job.media === media));

/** `open` is called with the chosen job, `onDelete` with one that was deleted; `attempt` wraps the requests made here. */
export function listenToJobs(open, attempt, onDelete) {
  Object.assign(page, { open, attempt, onDelete });
  byId("older").addEventListener("click", attempt(() => load(page.next)));
  byId("search-state").addEventListener("change", attempt(refresh));
  byId("search-name").addEventListener("input", () => {
    clearTimeout(page.typing);
    page.typing = setTimeout(attempt(refresh), TYPING_MILLISECONDS);
  });
  byId("search").addEventListener("submit", (event) => { event.preventDefault(); attempt(refresh)(); });
  document.addEventListener("language", draw);
}

/** Load the newest jobs that match. */
export const refresh = () => load(null);

async function load(cursor) {
  const asked = (page.asked += 1);
  const only = { name: byId("search-name").value.trim(), state: byId("search-state").value };
  const { data, next_cursor: next } = await listJobs({ ...only, cursor, limit: PAGE_JOBS });
  if (asked !== page.asked) return; // an answer to an earlier question
  page.jobs = cursor ? [...page.jobs, ...data] : data;
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
  byId("search").reset();
  draw();
}

async function deleteFiles(job) {
  if (!confirm(t("jobs.sure", { name: nameOf(job) ?? t(`media.${job.media}`) }))) return;
  await remove(job.id);
  page.jobs = page.jobs.filter(({ id }) => id !== job.id);
  draw();
  byId("jobs").querySelector("button")?.focus();
  page.onDelete(job);
}

function draw() {
  const focused = document.activeElement?.dataset?.job;
  const isAsked = Boolean(byId("search-name").value.trim() || byId("search-state").value);
  byId("no-jobs").hidden = isAsked || page.jobs.length > 0;
  byId("no-match").hidden = !isAsked || page.jobs.length > 0;
  byId("older").hidden = !page.next;
  byId("job-list").replaceChildren(...page.jobs.map(item));
  if (focused) byId("job-list").querySelector(`[data-job="${CSS.escape(focused)}"]`)?.focus();
}

function item(job) {
  const thumbnail = job.result && make("img", { src: job.result.thumbnail_url, alt: "", loading: "lazy" });
  const button = make("button", { type: "button", className: "job", onclick: () => page.open(job) },
    thumbnail ?? make("span", { className: "blank" }),
    title(make("span", { className: "name" }), job),
    make("span", { className: "hint state" }, setText(make("span"), stateWords(job)), ` · ${ago(Date.parse(job.created_at))}`),
  );
  Object.assign(button.dataset, { job: job.id, state: job.state });
  const bin = make("button", { type: "button", className: "icon-button bin" }, byId("bin-icon").content.cloneNode(true));
  bin.addEventListener("click", page.attempt(() => deleteFiles(job)));
  label(bin, "jobs.delete", { name: nameOf(job) ?? t(`media.${job.media}`) });
  return make("li", {}, button, ended(job) && bin);
}

function stateWords(job) {
  if (job.kind === "detect" && job.state === "succeeded") return "state.looked";
  return job.state === "succeeded" && !job.result?.mark_found ? "state.nothing" : `state.${job.state}`;
}
