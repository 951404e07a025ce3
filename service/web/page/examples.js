// The APIs' example calls from the OpenAPI document, with the user's key filled in.

import { curl } from "../docs/curl.js";
import { address, key } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { label, setText } from "./i18n.js";

/** The first calls that a program needs, per API: to submit a job and to get its outcome. */
const CALLS = {
  native: [["post", "/v1/jobs"], ["get", "/v1/jobs/{job_id}"], ["get", "/v1/account"]],
  kie: [["post", "/api/v1/jobs/createTask"], ["get", "/api/v1/jobs/recordInfo"], ["get", "/api/v1/chat/credit"]],
  savesora: [["post", "/api/v1/download"], ["post", "/api/v1/credits"]],
  aidge: [["post", "/ai/video/removal"], ["post", "/ai/video/removal/result"]],
  kaze: [["post", "/api/ext/v1/submit_watermark_removal"], ["post", "/api/ext/v1/get_task_result"], ["post", "/api/ext/v1/get_quota"]],
};
/** Aidge's signature version 2, computed in the shell from a name and a secret. */
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

/** Remove the calls, as they contain the key. */
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
  const notes = page.api === "aidge" ? [setText(make("p", { className: "hint" }), "examples.signing"), block(SIGNING)] : [];
  byId("calls").replaceChildren(...notes, ...calls.flat());
}

function call(operation) {
  const [type, body] = Object.entries(operation.requestBody?.content ?? { "": {} })[0];
  const line = curl(operation, type, body);
  return page.api === "aidge" ? withSignature(line) : withKey(line);
}

/** Replace the shell variable by the key, however it is quoted. */
function withKey(line) {
  return key() ? line.replaceAll(`'"$CLEANPLATE_KEY"'`, () => key()).replaceAll("$CLEANPLATE_KEY", () => key()) : line;
}

function withSignature(line) {
  const filled = (text, [name, variable]) => text.replace(new RegExp(`([?&]${name}=)[^&']*`), (_, start) => `${start}'"$${variable}"'`);
  return Object.entries(SIGNED).reduce(filled, line).replace("''", ""); // removes empty quotes at the end of the URL
}

function block(text) {
  const code = make("pre", { tabIndex: 0 }, text);
  const button = setText(make("button", { type: "button", className: "secondary", onclick: () => copy(code, button) }), "examples.copy");
  label(code, "examples.call");
  code.role = "group";
  return make("div", { className: "block" }, code, button);
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    setText(button, "examples.copied");
  } catch { // browsers offer no clipboard to pages loaded over plain HTTP from another machine
    getSelection().selectAllChildren(code);
    setText(button, "examples.selected");
  }
  announce(button.textContent);
}
