// The APIs' example calls from the OpenAPI document, with the user's key and their last file filled in, in three languages.

import { curl } from "../docs/curl.js";
import { address, key } from "./api.js";
import { announce, byId, make } from "./dom.js";
import { label, setText } from "./i18n.js";
import { newestResult } from "./jobs.js";
import { javascript, python } from "./programs.js";

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

const PROGRAMS = { curl, Python: python, JavaScript: javascript };
const SOURCES = new Set(["source_url", "video_url", "videoUrl", "image_url"]); // what the document's examples call the file
const OMITTED = new Set(["callBackUrl", "callback_url", "smear_url", "inpaintingBoxes"]); // what fits no other file, and hosts that do not answer
const HIDDEN_KEY = "cp_••••••••";

const page = { api: "native", program: "curl", document: null };

/** Show the calls once they are wanted: the document is larger than the rest of the page. */
async function showExamples() {
  if (!byId("examples-open").open) return;
  page.document ??= await (await fetch(address("openapi.json"))).json();
  draw();
}

/** Remove the calls, as they contain the key. */
export function forgetExamples() {
  byId("show-key").checked = false;
  byId("examples-open").open = false;
  byId("calls").replaceChildren();
}

export function listenToExamples(attempt) {
  byId("apis").append(...Object.keys(CALLS).map((name) => choice("api", name)));
  byId("programs").append(...Object.keys(PROGRAMS).map((name) => choice("program", name)));
  byId("show-key").addEventListener("change", draw);
  byId("examples-open").addEventListener("toggle", attempt(showExamples));
}

function choice(group, value) {
  const input = make("input", { type: "radio", name: group, value, checked: value === page[group] });
  input.addEventListener("change", () => { page[group] = value; draw(); });
  return make("label", {}, input, make("span", {}, value));
}

function draw() {
  if (!page.document) return; // it is being loaded
  const source = newestResult(page.api === "kaze" ? "image" : page.api === "native" ? null : "video");
  const calls = CALLS[page.api].map(([method, path]) => {
    const operation = filled({ path, method: method.toUpperCase(), ...page.document.paths[path][method] }, source);
    return [make("h3", { lang: "en" }, operation.summary), block(call(operation))];
  });
  const isSigned = page.api === "aidge";
  const notes = isSigned ? [setText(make("p", { className: "hint" }), "examples.signing"), block(SIGNING)] : [];
  byId("programs").hidden = isSigned; // whose signature is computed in the shell
  byId("no-example").hidden = Boolean(source);
  byId("calls").replaceChildren(...notes, ...calls.flat());
}

/** The operation with the user's last file in place of the document's, and its job. */
function filled(operation, source) {
  if (!source) return operation;
  const fill = (value, name) => {
    if (typeof value === "string") return SOURCES.has(name) ? source.result.source_url : value;
    if (value === null || typeof value !== "object") return value;
    if (Array.isArray(value)) return value.map((part) => fill(part));
    return Object.fromEntries(Object.entries(value).filter(([each]) => !OMITTED.has(each)).map(([each, part]) => [each, fill(part, each)]));
  };
  const known = (parameter) => (parameter.name === "job_id" ? { ...parameter, example: source.id } : fill(parameter));
  return { ...operation, requestBody: fill(operation.requestBody), parameters: operation.parameters?.map(known) };
}

function call(operation) {
  const [type, body] = Object.entries(operation.requestBody?.content ?? { "": {} })[0];
  return page.api === "aidge" ? withSignature(curl(operation, type, body)) : PROGRAMS[page.program](operation, type, body);
}

/** Replace the shell variable by the key, however it is quoted. */
function withKey(text, shown) {
  return text.replaceAll(`'"$CLEANPLATE_KEY"'`, () => shown).replaceAll("$CLEANPLATE_KEY", () => shown);
}

function withSignature(line) {
  const filled = (text, [name, variable]) => text.replace(new RegExp(`([?&]${name}=)[^&']*`), (_, start) => `${start}'"$${variable}"'`);
  return Object.entries(SIGNED).reduce(filled, line).replace("''", ""); // removes empty quotes at the end of the URL
}

function block(text) {
  const code = make("pre", { tabIndex: 0 }, withKey(text, byId("show-key").checked ? key() : HIDDEN_KEY));
  const button = setText(make("button", { type: "button", className: "secondary", onclick: () => copy(text, code, button) }), "examples.copy");
  label(code, "examples.call");
  code.role = "group";
  return make("div", { className: "block" }, code, button);
}

/** Copy a call with the key, also while that is hidden. */
async function copy(text, code, button) {
  const whole = withKey(text, key());
  try {
    await navigator.clipboard.writeText(whole);
    setText(button, "examples.copied");
  } catch { // browsers offer no clipboard to pages loaded over plain HTTP from another machine
    code.textContent = whole;
    getSelection().selectAllChildren(code);
    setText(button, "examples.selected");
  }
  announce(button.textContent);
}
