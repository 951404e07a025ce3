// Records: usage by day, and what operators changed.

import { make } from "../dom.js";
import { count } from "../format.js";
import { language, setText, t } from "../i18n.js";
import { read } from "./api.js";
import { facts, field, form, link, older, plain, table, time } from "./parts.js";

const DAYS = [7, 30, 90, 365];
const PAGE = 100;

const USAGE = [
  { name: "admin.day", of: (row) => day(row.date) },
  { name: "admin.account", of: (row) => link(row.account, `#accounts/${row.account_id}`) },
  { name: "admin.accepted", of: (row) => row.accepted_jobs },
  { name: "state.succeeded", of: (row) => row.succeeded_jobs },
  { name: "state.failed", of: (row) => row.failed_jobs },
  { name: "state.cancelled", of: (row) => row.cancelled_jobs },
  { name: "admin.spent", of: (row) => row.spent_credits },
  { name: "admin.seconds", of: (row) => row.processing_seconds },
];

const AUDIT = [
  { name: "admin.at", of: (row) => time(row.at) },
  { name: "admin.who", of: (row) => [row.actor ?? t("admin.command"), ...(row.key_id ? [" ", plain(row.key_id)] : [])] },
  { name: "admin.action", of: (row) => plain(row.action) },
  { name: "admin.what", of: (row) => row.subject },
  { name: "admin.given", of: (row) => plain(row.given) },
  { name: "admin.outcome", of: (row) => plain(row.outcome) },
];

/** A day in the page's language; days are those of UTC. */
function day(date) {
  return new Intl.DateTimeFormat(language(), { dateStyle: "medium", timeZone: "UTC" }).format(Date.parse(date));
}

export async function showUsage(place, attempt) {
  const list = make("div");
  const load = async () => {
    const { data } = await read("usage", { days: filter.elements.days.value });
    list.replaceChildren(sums(data), table("admin.usage", USAGE, data));
  };
  const filter = form(attempt(load), "admin.find", field("admin.lastDays", { name: "days", value: "30" }, DAYS.map((days) => [String(days), count(days)])));
  await load();
  place.replaceChildren(filter, list);
}

function sums(rows) {
  const sum = (name) => rows.reduce((total, row) => total + row[name], 0);
  return facts([
    ["admin.accepted", sum("accepted_jobs")],
    ["state.succeeded", sum("succeeded_jobs")],
    ["state.failed", sum("failed_jobs")],
    ["admin.spent", sum("spent_credits")],
  ]);
}

export async function showLog(place, attempt) {
  const list = make("div");
  const load = async (before) => {
    const { data, next_before: next } = await read("audit", { limit: PAGE, before });
    const more = older(next, attempt(load));
    if (before) list.lastElementChild.remove();
    list.append(table("admin.log", AUDIT, data), ...(more ? [more] : []));
  };
  await load();
  place.replaceChildren(setText(make("p", { className: "hint" }), "admin.logHint"), list);
}
