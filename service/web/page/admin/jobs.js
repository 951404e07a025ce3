// The jobs of all accounts, filtered.

import { make } from "../dom.js";
import { lasting } from "../format.js";
import { setText } from "../i18n.js";
import { read } from "./api.js";
import { field, form, link, older, plain, table, time } from "./parts.js";

const PAGE = 50;
const STATES = ["queued", "fetching", "cleaning", "publishing", "succeeded", "failed", "cancelled"];
const APIS = ["native", "kie", "savesora", "aidge", "kaze"];

const COLUMNS = [
  { name: "admin.job", of: (job) => plain(job.id) },
  { name: "admin.account", of: (job) => link(job.account, `#accounts/${job.account_id}`) },
  { name: "admin.state", of: (job) => setText(make("span", { className: job.state === "failed" ? "bad" : "" }), `state.${job.state}`) },
  { name: "admin.api", of: (job) => plain(job.facade) },
  { name: "admin.media", of: (job) => setText(make("span"), `media.${job.media}`) },
  { name: "admin.created", of: (job) => time(job.created_at) },
  { name: "admin.took", of: took },
  { name: "admin.credits", of: (job) => (job.finished_at ? job.credits_used : job.price_credits) },
  { name: "admin.reason", of: (job) => job.failure && plain(`${job.failure}: ${job.detail ?? ""}`) },
];

function took({ started_at: from, finished_at: to }) {
  return from && to ? lasting((Date.parse(to) - Date.parse(from)) / 1000) : null;
}

export async function showJobs(place, attempt, account = "") {
  const list = make("div");
  const load = async (cursor) => {
    const { state, facade, failure, account_id: id } = filter.elements;
    const only = { state: state.value, facade: facade.value, failure: failure.value.trim(), account_id: id.value, limit: PAGE, cursor };
    const { data, next_cursor: next } = await read("jobs", only);
    const more = older(next, attempt(load));
    if (cursor) list.lastElementChild.remove();
    list[cursor ? "append" : "replaceChildren"](table("admin.jobs", COLUMNS, data), ...(more ? [more] : []));
  };
  const filter = form(attempt(() => load()), "admin.find",
    field("admin.state", { name: "state" }, [["", "jobs.all"], ...STATES.map((state) => [state, `state.${state}`])]),
    field("admin.api", { name: "facade" }, [["", "jobs.all"], ...APIS.map((api) => [api, api])]),
    field("admin.kindOfFailure", { name: "failure", maxLength: 64, pattern: "[A-Za-z]*", placeholder: "FetchRefused", autocomplete: "off" }),
    field("admin.accountNumber", { name: "account_id", type: "number", min: 1, value: account }));
  await load();
  place.replaceChildren(filter, list);
}
