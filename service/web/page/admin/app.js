// The operator's page: signing in, and moving between its parts. Each part has an address, and Back leads to the one before.

import { Problem } from "../api.js";
import { announce, byId } from "../dom.js";
import { choose, offerLanguages, preferred, setLanguage, setText, t } from "../i18n.js";
import { forgetInTab } from "../kept.js";
import { clearProblem, showProblem } from "../problems.js";
import { showAccount, showAccounts } from "./accounts.js";
import { adminKey, rememberKey, tryKey } from "./api.js";
import { showCallbacks } from "./callbacks.js";
import { showJobs } from "./jobs.js";
import { showKeys } from "./keys.js";
import { showLog, showUsage } from "./records.js";
import { showOverview } from "./overview.js";
import { listenToSecret } from "./secret.js";

const PARTS = {
  overview: [showOverview, "admin.overview"],
  accounts: [(place, id) => (id ? showAccount(place, id, attempt) : showAccounts(place, attempt)), "admin.accounts"],
  keys: [(place) => showKeys(place, attempt), "admin.keys"],
  jobs: [(place, id) => showJobs(place, attempt, id), "admin.jobs"],
  callbacks: [(place) => showCallbacks(place, attempt), "admin.callbacks"],
  usage: [(place) => showUsage(place, attempt), "admin.usage"],
  log: [(place) => showLog(place, attempt), "admin.log"],
};
const REFRESH_MILLISECONDS = 5000;

const page = { shown: 0 };

/** Wrap an operator's action: clear previous errors, and show those that it throws. */
function attempt(act) {
  return async (...given) => {
    clearProblem();
    try {
      await act(...given);
    } catch (error) {
      if (error instanceof Problem && [401, 403].includes(error.status)) signOut();
      showProblem(error);
    }
  };
}

function signOut() {
  forgetInTab();
  view(false);
  byId("view-content").replaceChildren();
  byId("key").focus();
}

function view(isOpen) {
  for (const id of ["parts", "sign-out", "view"]) byId(id).hidden = !isOpen;
  byId("key-card").hidden = isOpen;
}

const enter = attempt(async () => {
  const given = byId("key").value.trim();
  byId("key").value = "";
  await tryKey(given);
  rememberKey(given);
  await show();
});

/** Show the part that the address names. One that was replaced meanwhile is not shown any more. */
async function show() {
  const turn = (page.shown += 1);
  const [name, argument] = location.hash.slice(1).split("/");
  const part = PARTS[name] ? name : "overview";
  const [draw, title] = PARTS[part];
  view(true);
  for (const each of byId("parts").children) {
    if (each.hash === `#${part}`) each.setAttribute("aria-current", "page");
    else each.removeAttribute("aria-current");
  }
  const place = document.createElement("div");
  await draw(place, argument);
  if (turn !== page.shown) return;
  setText(byId("view-title"), title);
  document.title = `${t(title)} · Cleanplate`;
  byId("view-content").replaceChildren(place);
  if (part === "overview") setTimeout(() => refresh(turn, place), REFRESH_MILLISECONDS);
}

/** Draw the overview again while it is shown, unless something in it has the focus, which would be lost. */
async function refresh(turn, place) {
  if (turn !== page.shown || byId("view").hidden) return;
  if (!document.hidden && !place.contains(document.activeElement)) await showOverview(place).catch(() => {}); // the next one may succeed
  setTimeout(() => refresh(turn, place), REFRESH_MILLISECONDS);
}

const move = attempt(async () => {
  if (!adminKey()) return;
  await show();
  byId("view-title").focus();
  announce(byId("view-title").textContent);
});

offerLanguages(byId("language"));
byId("language").value = preferred();
byId("language").addEventListener("change", ({ target }) => choose(target.value));
await setLanguage(preferred());
document.title = `${t("admin.title")} · Cleanplate`;
document.addEventListener("language", () => adminKey() && attempt(show)());
byId("key-form").addEventListener("submit", (event) => { event.preventDefault(); enter(); });
byId("sign-out").addEventListener("click", () => { clearProblem(); signOut(); });
addEventListener("hashchange", move);
listenToSecret();
view(false);
if (adminKey()) await attempt(show)();
else byId("key").focus();
