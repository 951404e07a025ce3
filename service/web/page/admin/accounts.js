// Accounts: all of them, a new one, and one with its credits, limits, keys and ledger.

import { announce, byId, make } from "../dom.js";
import { size } from "../format.js";
import { setText, t } from "../i18n.js";
import { newEvent, patch, post, read, remove } from "./api.js";
import { keyTable, newKeyForm } from "./keys.js";
import { block, button, facts, field, form, link, older, plain, table, time } from "./parts.js";

const PAGE = 50;
const RIGHTS = [["", "admin.noDefault"], ["owner", "admin.owner"], ["licensed", "admin.licensed"]];
const MEGABYTE = 1e6;

const COLUMNS = [
  { name: "admin.account", of: (row) => link(row.name, `#accounts/${row.id}`) },
  { name: "admin.state", of: state },
  { name: "admin.paid", of: (row) => row.paid_credits },
  { name: "admin.oneTime", of: (row) => row.one_time_credits },
  { name: "admin.heldCredits", of: (row) => row.held_credits },
  { name: "admin.spent", of: (row) => row.spent_credits },
  { name: "admin.files", of: (row) => size(row.upload_bytes) },
  { name: "admin.created", of: (row) => time(row.created_at) },
];

function state(account) {
  return setText(make("span", { className: account.banned ? "bad" : "good" }), account.banned ? "admin.disabled" : "admin.active");
}

export async function showAccounts(place, attempt, name = "") {
  const list = make("div");
  const load = async (after) => {
    const { data, next_after: next } = await read("accounts", { limit: PAGE, after, name: search.value.trim() });
    const more = older(next, attempt(load));
    if (after) list.lastElementChild.remove(); // the button that asked
    list[after ? "append" : "replaceChildren"](table("admin.accounts", COLUMNS, data), ...(more ? [more] : []));
  };
  const find = field("admin.findAccount", { type: "search", value: name, maxLength: 100, autocomplete: "off" });
  const search = find.querySelector("input");
  const create = form(attempt(async (fields) => {
    const [given, rights] = [fields.elements.name.value, fields.elements.rights.value];
    const made = await post("accounts", { name: given, ...(rights && { rights }) });
    location.hash = `accounts/${made.id}`;
  }), "admin.create", field("admin.name", { name: "name", required: true, maxLength: 100, autocomplete: "off" }), field("admin.rights", { name: "rights" }, RIGHTS));
  await load();
  place.replaceChildren(form(attempt(() => load()), "admin.find", find), list, block("admin.newAccount", create));
}

export async function showAccount(place, id, attempt) {
  const again = () => draw(place, id, attempt, again);
  await again();
}

async function draw(place, id, attempt, again) {
  const [account, { data: keys }, ledger] = await Promise.all([
    read(`accounts/${encodeURIComponent(id)}`), read("keys", { account_id: id }), read(`accounts/${encodeURIComponent(id)}/ledger`, { limit: PAGE }),
  ]);
  const done = (act) => attempt(async (...given) => {
    await act(...given);
    await again();
    byId("view-title").focus(); // what was clicked is gone
    announce(t("admin.done"));
  });
  place.replaceChildren(
    make("h2", { className: "title", textContent: account.name }),
    summary(account),
    switches(account, done, attempt),
    make("div", { className: "pair" }, block("admin.credits", credits(account, done)), block("admin.limits", limits(account, done))),
    block("admin.keys", keyTable(keys, done, false), newKeyForm(account.id, attempt, again)),
    block("admin.ledger", ledgerList(account, ledger, attempt)),
  );
}

function summary(account) {
  return facts([
    ["admin.accountNumber", String(account.id)],
    ["admin.state", state(account)],
    ["admin.paid", account.paid_credits],
    ["admin.oneTime", account.one_time_credits],
    ["admin.heldCredits", account.held_credits],
    ["admin.spent", account.spent_credits],
    ["admin.files", size(account.upload_bytes)],
    ["admin.created", time(account.created_at)],
  ]);
}

function switches(account, done, attempt) {
  const path = `accounts/${account.id}`;
  const sure = (name) => confirm(t(name, { name: account.name }));
  const disable = done(() => (account.banned || sure("admin.sureDisable")) && patch(path, { banned: !account.banned }));
  const erase = attempt(async () => {
    if (!sure("admin.sureDelete")) return;
    await remove(path);
    location.hash = "accounts";
  });
  return make("div", { className: "line wrap" },
    setText(make("a", { className: "secondary", href: `#jobs/${account.id}` }), "admin.itsJobs"),
    button(account.banned ? "admin.enable" : "admin.disable", disable),
    button("admin.delete", erase, "secondary danger"));
}

/** Each form grants or takes back once: a request that is repeated has the same event. */
function credits(account, done) {
  const event = newEvent();
  return form(done(async ({ elements }) => {
    const body = { kind: elements.kind.value, credits: elements.credits.valueAsNumber, fund: elements.fund.value, note: elements.note.value };
    await post(`accounts/${account.id}/credits`, body, { "Idempotency-Key": event });
  }), "admin.enter",
  field("admin.change", { name: "kind" }, [["grant", "admin.grant"], ["correct", "admin.takeBack"]]),
  field("admin.number", { name: "credits", type: "number", min: 1, max: 1e12, required: true }),
  field("admin.fund", { name: "fund" }, [["paid", "admin.paid"], ["one_time", "admin.oneTime"]]),
  field("admin.note", { name: "note", maxLength: 500, autocomplete: "off" }));
}

function limits(account, done) {
  const shown = (bytes) => (bytes == null ? "" : bytes / MEGABYTE);
  const number = ({ value, valueAsNumber }) => (value === "" ? null : valueAsNumber);
  return form(done(async ({ elements }) => {
    const megabytes = number(elements.storage);
    const storage = megabytes == null ? null : Math.round(megabytes * MEGABYTE);
    await patch(`accounts/${account.id}`, { queue_jobs: number(elements.queue), storage_bytes: storage, rights: elements.rights.value || null });
  }), "jobs.save",
  field("admin.queueJobs", { name: "queue", type: "number", min: 0, max: 1e6, value: account.queue_jobs ?? "" }),
  field("admin.storage", { name: "storage", type: "number", min: 0, step: "any", value: shown(account.storage_bytes) }),
  field("admin.rights", { name: "rights", value: account.rights ?? "" }, RIGHTS),
  setText(make("p", { className: "hint" }), "admin.emptyLimit"));
}

const LEDGER = [
  { name: "admin.at", of: (row) => time(row.at) },
  { name: "admin.kind", of: (row) => plain(row.kind) },
  { name: "admin.fund", of: (row) => setText(make("span"), row.fund === "paid" ? "admin.paid" : "admin.oneTime") },
  { name: "admin.freeCredits", of: (row) => row.free_credits },
  { name: "admin.heldCredits", of: (row) => row.held_credits },
  { name: "admin.job", of: (row) => plain(row.job_id) },
  { name: "admin.note", of: (row) => row.note || null },
];

function ledgerList(account, first, attempt) {
  const list = make("div");
  const add = ({ data, next_before: next }) => {
    const more = older(next, attempt(async (before) => {
      const page = await read(`accounts/${account.id}/ledger`, { limit: PAGE, before });
      list.lastElementChild.remove();
      add(page);
    }));
    list.append(table("admin.ledger", LEDGER, data), ...(more ? [more] : []));
  };
  add(first);
  return list;
}
