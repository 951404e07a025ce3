// Sends an operation's request from the page, with the reader's key, and shows the answer.

import { address, exampleText, isFile } from "./curl.js";
import { keepInTab, kept, keptInTab } from "../page/kept.js";

const SOURCES = ["source_url", "video_url", "videoUrl", "image_url"]; // what the document's examples call the file
const ELSEWHERE = ["callBackUrl", "callback_url", "mask_url", "smear_url"]; // what leads to hosts and files that do not exist
const SAMPLES = { video: "docs/sample.mp4", image: "docs/sample.png" };
const UPLOAD = "api/file-stream-upload";
const SHOWN_CHARACTERS = 100_000; // of an answer

const key = () => keptInTab("key") ?? kept("key") ?? "";
const authorization = () => ({ Authorization: `Bearer ${key()}` });

/** The field for the key, which is kept until the tab is closed; the page for cleaning files knows it too. */
export function listenToKey(input) {
  input.value = key();
  input.addEventListener("change", () => keepInTab("key", input.value.trim()));
  input.form.addEventListener("submit", (event) => event.preventDefault());
}

/** A form that sends the operation, with a body of this type ("": none). */
export function tryIt(operation, type, body, make) {
  const isSigned = operation.parameters?.some(({ name }) => name === "sign");
  if (isSigned) return make("p", {}, "Its requests are signed with a secret, which is not for a page: use the call above.");
  const fields = parameterFields(operation, make);
  const parts = type === "multipart/form-data" ? partFields(body, make) : [];
  const bytes = type && isFile(body.schema) ? make("input", { type: "file", required: true }) : null;
  bytes?.setAttribute("aria-label", "Body");
  const text = type && !parts.length && !bytes ? make("textarea", { value: exampleText(withoutElsewhere(body.example)), rows: 8, spellcheck: false }) : null;
  text?.setAttribute("aria-label", "Body");
  const send = make("button", { className: "send" }, "Send");
  const status = make("p", { className: "answer" });
  const answer = make("pre", { hidden: true, tabIndex: 0 });
  status.setAttribute("role", "status");
  answer.setAttribute("aria-label", "Answer");
  const form = make("form", { className: "try" },
    ...fields.map(({ row }) => row), ...parts.map(({ row }) => row), bytes, text, text && sourceLine(text, status, make), send, status, answer);
  const shown = { form, send, status, answer, stop: null };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (shown.stop) return shown.stop.abort();
    run(shown, () => requestOf(operation, type, fields, parts, bytes ?? text));
  });
  const details = make("details", {}, make("summary", {}, "Try it"), form);
  details.addEventListener("toggle", () => details.open && fillJob(fields).catch(() => {}), { once: true });
  return details;
}

// The fields.

function parameterFields(operation, make) {
  return (operation.parameters ?? []).map(({ name, in: place, required, schema, example = schema?.examples?.[0] }) => {
    const input = make("input", { value: required ? example ?? "" : "", required: Boolean(required), autocomplete: "off", spellcheck: false });
    return { name, place, input, row: make("label", {}, make("code", {}, name), input) };
  });
}

function partFields({ schema, example = {} }, make) {
  return Object.entries(schema.properties).map(([name, field]) => {
    const value = name in example ? exampleText(withoutElsewhere(example[name])) : "";
    const input = isFile(field) ? make("input", { type: "file" }) : make("input", { value, autocomplete: "off", spellcheck: false });
    input.required = (schema.required ?? []).includes(name);
    return { name, input, row: make("label", {}, make("code", {}, name), input) };
  });
}

/** Buttons that put a file into the body: the reader's last one, another one that is uploaded, or a sample that the service has. */
function sourceLine(text, status, make) {
  const field = SOURCES.find((name) => text.value.includes(`"${name}"`));
  if (!field) return null;
  const media = field === "image_url" ? "image" : "video";
  const fill = (url) => { text.value = text.value.replace(new RegExp(`("${field}": *)"[^"]*"`), (_, start) => `${start}${JSON.stringify(url)}`); };
  const attempt = (act) => async () => {
    status.textContent = "Preparing the file …";
    try {
      fill(await act());
      status.textContent = "";
    } catch (error) {
      status.textContent = error.message;
    }
  };
  const chosen = make("input", { type: "file" });
  chosen.setAttribute("aria-label", "Upload a file for it");
  chosen.addEventListener("change", attempt(() => uploaded(chosen.files[0])));
  const button = (words, act) => make("button", { type: "button", onclick: attempt(act) }, words);
  return make("div", { className: "source" },
    button("Use my last file", async () => (await latest(field === "source_url" ? null : media)).result.source_url),
    button("Use the sample", async () => uploaded(new File([await sample(media)], SAMPLES[media].split("/").at(-1)))), chosen);
}

async function sample(media) {
  const answer = await fetch(new URL(SAMPLES[media], document.baseURI));
  return answer.blob();
}

async function uploaded(file) {
  const form = new FormData();
  form.append("uploadPath", "docs");
  form.append("file", file, file.name);
  const { data } = await json(UPLOAD, { method: "POST", body: form });
  return data.downloadUrl;
}

/** The reader's last job with a result. */
async function latest(media) {
  const { data } = await json("v1/jobs?with_files=true&state=succeeded&limit=100");
  const found = data.find((job) => job.result && (!media || job.media === media));
  if (!found) throw new Error("No file of yours is there yet: use the sample, or upload one.");
  return found;
}

/** Name the reader's last job where one is asked for. */
async function fillJob(fields) {
  const wanted = fields.find(({ name }) => name === "job_id");
  if (!wanted || !key()) return;
  const before = wanted.input.value;
  const { id } = await latest(null);
  if (wanted.input.value === before) wanted.input.value = id; // else the reader was quicker
}

async function json(path, options = {}) {
  const answer = await fetch(new URL(path, document.baseURI), { ...options, headers: authorization() });
  const body = await answer.json();
  if (!answer.ok || body.code >= 400) throw new Error(body.detail ?? body.msg ?? `status ${answer.status}`);
  return body;
}

function withoutElsewhere(example) {
  if (example === null || typeof example !== "object" || Array.isArray(example)) return example;
  const kept = Object.entries(example).filter(([name]) => !ELSEWHERE.includes(name));
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutElsewhere(value)]));
}

// The request.

function requestOf({ method, path, security }, type, fields, parts, whole) {
  const given = fields.filter(({ input }) => input.value !== "");
  const parameters = given.map(({ name, place, input }) => ({ name, in: place, example: place === "path" ? encodeURIComponent(input.value) : input.value }));
  const headers = security ? authorization() : {};
  for (const { name, place, input } of given) if (place === "header") headers[name] = input.value;
  if (whole) headers["Content-Type"] = type;
  return [address({ path, parameters }), { method, headers, body: whole ? whole.files?.[0] ?? whole.value : formOf(parts) }];
}

function formOf(parts) {
  if (!parts.length) return undefined;
  const form = new FormData();
  for (const { name, input } of parts) {
    if (input.files?.length) form.append(name, input.files[0], input.files[0].name);
    else if (!input.files && input.value) form.append(name, input.value);
  }
  return form;
}

async function run(shown, request) {
  shown.stop = new AbortController();
  shown.send.textContent = "Stop";
  shown.status.textContent = "Waiting for the answer …";
  shown.answer.hidden = true;
  shown.answer.textContent = "";
  const began = performance.now();
  try {
    const [url, options] = request();
    const answer = await fetch(url, { ...options, signal: shown.stop.signal });
    shown.status.textContent = `${answer.status} ${answer.statusText} · ${Math.round(performance.now() - began)} ms`;
    await show(answer, shown.answer);
  } catch (error) {
    if (error.name !== "AbortError") shown.status.textContent = `No answer that this page may read: ${error.message}`;
    else if (shown.answer.hidden) shown.status.textContent = "Stopped.";
  } finally {
    shown.stop = null;
    shown.send.textContent = "Send";
  }
}

/** Show JSON in lines, other text as it arrives, and of a file its kind and size. */
async function show(answer, place) {
  const type = answer.headers.get("content-type") ?? "";
  const isText = type.startsWith("text/");
  if (!isText) {
    const body = await answer.blob();
    if (!body.size) return;
    place.textContent = type.includes("json") ? pretty(await body.text()) : `${type}, ${body.size} bytes`;
    place.hidden = false;
    return;
  }
  place.hidden = false;
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let read = await reader.read(); !read.done; read = await reader.read()) {
    place.textContent = (place.textContent + read.value).slice(0, SHOWN_CHARACTERS);
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2).slice(0, SHOWN_CHARACTERS);
  } catch {
    return text.slice(0, SHOWN_CHARACTERS);
  }
}
