// The state of the service: queue, failures with reasons, workers, disks, versions.

import { make } from "../dom.js";
import { count, lasting, percent, size } from "../format.js";
import { setText, t } from "../i18n.js";
import { read } from "./api.js";
import { block, facts, link, plain, table, time } from "./parts.js";

export async function showOverview(place) {
  const [status, queue, { data: failures }] = await Promise.all([read("status"), read("queue"), read("failures")]);
  place.replaceChildren(
    figures(status),
    block("admin.queue", table("admin.queue", QUEUE, queue.data)),
    block("admin.failures", table("admin.failures", FAILURES, failures)),
    block("admin.workers", workers(status.workers)),
    block("admin.disks", table("admin.disks", DISKS, status.disks)),
    block("admin.versions", versionList(status.versions)),
  );
}

function figures(status) {
  const alive = status.workers.filter((worker) => worker.alive).length;
  const running = Object.entries(status.jobs).filter(([state]) => ["fetching", "cleaning", "publishing"].includes(state));
  return facts([
    ["admin.waiting", status.queued_jobs],
    ["admin.oldest", status.queued_jobs ? lasting(status.oldest_queued_seconds) : null],
    ["admin.running", running.reduce((sum, [, jobs]) => sum + jobs, 0)],
    ["admin.succeededHour", status.recent_jobs.succeeded ?? 0],
    ["admin.failedHour", status.recent_jobs.failed ?? 0],
    ["admin.workersAlive", `${count(alive)} / ${count(status.workers.length)}`],
    ["admin.heldCredits", status.held_credits],
    ["admin.givenUp", status.callbacks.given_up ?? 0],
  ]);
}

const QUEUE = [
  { name: "admin.account", of: (row) => link(row.account, `#accounts/${row.account_id}`) },
  { name: "admin.waiting", of: (row) => row.queued_jobs },
  { name: "admin.running", of: (row) => row.running_jobs },
  { name: "admin.oldest", of: (row) => (row.queued_jobs ? lasting(row.oldest_queued_seconds) : null) },
];

const FAILURES = [
  { name: "admin.kind", of: (row) => plain(row.kind) },
  { name: "admin.jobs", of: (row) => row.jobs },
  { name: "admin.reason", of: (row) => plain(row.last_detail) },
  { name: "admin.account", of: (row) => row.last_account },
  { name: "admin.lastAt", of: (row) => time(row.last_at) },
];

const WORKERS = [
  { name: "admin.worker", of: (row) => plain(row.id) },
  { name: "admin.state", of: (row) => setText(make("span", { className: row.alive ? "good" : "bad" }), row.alive ? "admin.alive" : "admin.silent") },
  { name: "admin.heard", of: (row) => lasting(row.silent_seconds) },
  { name: "admin.taken", of: (row) => row.running },
  { name: "admin.version", of: (row) => plain(row.version) },
];

const DISKS = [
  { name: "admin.disk", of: (row) => setText(make("span"), row.name === "data" ? "admin.diskData" : "admin.diskFiles") },
  { name: "admin.free", of: (row) => [size(row.free_bytes), " ", meter(row)] },
  { name: "admin.total", of: (row) => size(row.total_bytes) },
  { name: "admin.floor", of: (row) => size(row.floor_bytes) },
];

/** How full a disk is; full is at the floor, below which files are refused. */
function meter({ free_bytes: free, total_bytes: total, floor_bytes: floor }) {
  const used = (total - free) / Math.max(1, total - floor);
  const found = make("meter", { min: 0, max: 1, high: .9, optimum: 0, value: Math.min(1, used) });
  found.setAttribute("aria-label", t("admin.used", { part: percent(Math.min(1, used)) }));
  return found;
}

function workers(found) {
  if (!found.length) return setText(make("p", { className: "bad" }), "admin.noWorker");
  return table("admin.workers", WORKERS, found);
}

function versionList(versions) {
  const items = Object.entries(versions).map(([name, version]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: version })));
  return make("dl", { className: "facts", lang: "en" }, ...items);
}
