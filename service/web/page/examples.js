// The APIs' example calls, as the OpenAPI document has them, with one's own key filled in.

import { curl } from "../docs/curl.js";
import { address, key } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { label, say } from "./i18n.js";

/** The calls that a program begins with, of each API: what it sends, and how it learns what became of it. */
const CALLS = {
  native: [["post", "/v1/jobs"], ["get", "/v1/jobs/{job_id}"], ["get", "/v1/account"]],
  kie: [["post", "/api/v1/jobs/createTask"], ["get", "/api/v1/jobs/recordInfo"], ["get", "/api/v1/chat/credit"]],
  savesora: [["post", "/api/v1/download"], ["post", "/api/v1/credits"]],
  aidge: [["post", "/ai/video/removal"], ["post", "/ai/video/removal/result"]],
  kaze: [["post", "/api/ext/v1/submit_watermark_removal"], ["post", "/api/ext/v1/get_task_result"], ["post", "/api/ext/v1/get_quota"]],
};
/** Aidge signs with a name and a secret: its second signature, by the shell itself. */
const SIGNING = [
  "export AIDGE_NAME=NAME AIDGE_SECRET=SECRET   # from: cleanplate signers",
  "timestamp=$(date +%s000)",
  'sign=$(printf %s "$AIDGE_SECRET$timestamp" | openssl dgst -sha256 -hmac "$AIDGE_SECRET" | sed "s/.* //" | tr a-f A-F)',
].join("\n");
const SIGNED = { app_key: "AIDGE_NAME", timestamp: "timestamp", sign: "sign" };

const page = { api: "native", document: null };

export async function showExamples() {
  page.document ??= await (await fetch(address("openapi.json"))).json();
  if (!byId("apis").children.length) byId("apis").append(...Object.keys(CALLS).map(choice));
  draw();
}

/** The calls hold the key: they go with it. */
export function forgetExamples() {
  byId("calls").replaceChildren();
}

function choice(name) {
  const input = make("input", { type: "radio", name: "api", value: name, checked: name === page.api });
  input.addEventListener("change", () => { page.api = name; draw(); });
  return make("label", {}, input, make("span", {}, name));
}

function draw() {
  const calls = CALLS[page.api].map(([method, path]) => {
    const operation = { path, method: method.toUpperCase(), ...page.document.paths[path][method] };
    return [make("h3", { lang: "en" }, operation.summary), block(call(operation))];
  });
  const notes = page.api === "aidge" ? [say(make("p", { className: "hint" }), "examples.signing"), block(SIGNING)] : [];
  byId("calls").replaceChildren(...notes, ...calls.flat());
}

function call(operation) {
  const [type, body] = Object.entries(operation.requestBody?.content ?? { "": {} })[0];
  const line = curl(operation, type, body);
  return page.api === "aidge" ? signed(line) : withKey(line);
}

/** The shell's variable for the key, whichever way it is quoted, gives way to the key. */
function withKey(line) {
  return key() ? line.replaceAll(`'"$CLEANPLATE_KEY"'`, () => key()).replaceAll("$CLEANPLATE_KEY", () => key()) : line;
}

function signed(line) {
  const filled = (text, [name, variable]) => text.replace(new RegExp(`([?&]${name}=)[^&']*`), (_, start) => `${start}'"$${variable}"'`);
  return Object.entries(SIGNED).reduce(filled, line).replace("''", ""); // nothing between two quotes, where the address ends
}

function block(text) {
  const code = make("pre", { tabIndex: 0 }, text);
  const button = say(make("button", { type: "button", className: "secondary", onclick: () => copy(code, button) }), "examples.copy");
  label(code, "examples.call");
  code.role = "group";
  return make("div", { className: "block" }, code, button);
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    say(button, "examples.copied");
  } catch { // browsers have no clipboard for pages that came over plain HTTP from another machine
    getSelection().selectAllChildren(code);
    say(button, "examples.selected");
  }
  announce(button.textContent);
}
