// Client for the part of the native API that the page needs. The key is sent only in a header.

import { kept, keptInTab } from "./kept.js";

const TYPE = "urn:cleanplate:problem:";

/** An error. `kind`: the API's name for it, `network` if there was no response, or empty; `detail`: the service's message. */
export class Problem extends Error {
  constructor({ kind = "", status = 0, detail = "", more = {} }) {
    super(detail || kind);
    Object.assign(this, { kind, status, detail, more });
  }

  static of(body, status) {
    const { type = "", detail = "", ...more } = body ?? {};
    return new Problem({ kind: type.startsWith(TYPE) ? type.slice(TYPE.length) : "", status, detail, more });
  }
}

export const key = () => keptInTab("key") ?? kept("key") ?? "";
export const address = (path) => new URL(path, document.baseURI).href;
export const authorization = () => ({ Authorization: `Bearer ${key()}` });

export const account = () => call("v1/account");
export const limits = () => call("v1/limits");
/** A page of the jobs that have files. `only`: name, state, limit, cursor; empty ones are left out. */
export const listJobs = (only) => call(`v1/jobs?${new URLSearchParams({ with_files: true, ...given(only) })}`);
export const find = (id) => call(`v1/jobs/${encodeURIComponent(id)}`);
export const cancel = (id) => call(`v1/jobs/${encodeURIComponent(id)}/cancel`, { method: "POST" });
export const report = (id) => call(`v1/jobs/${encodeURIComponent(id)}/report`);

export const rename = (id, name) => send("PATCH", `v1/jobs/${encodeURIComponent(id)}`, { name });
export const archive = (ids) => send("POST", "v1/archives", { jobs: ids });
export const estimate = (order) => send("POST", "v1/estimate", order);
/** What a detection found, by its signed link; null where the link leads to a bucket, as the page asks no other host. */
export async function detection({ result }) {
  return new URL(result.url).origin === location.origin ? (await fetch(result.url)).json() : null;
}

/** Delete a job's files. */
export const remove = (id) => request(`v1/jobs/${encodeURIComponent(id)}`, { method: "DELETE" });

/** Create a job from a URL, or from the marks that an earlier job found. */
export const create = (order) => send("POST", "v1/jobs", order);

const given = (values) => Object.fromEntries(Object.entries(values).filter(([, value]) => value));

function send(method, path, body) {
  return call(path, { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

/** Yield a job's events until the stream ends. `after`: number of the last event received. */
export async function* events(id, after, signal) {
  const headers = after ? { "Last-Event-ID": after } : {};
  const answer = await request(`v1/jobs/${encodeURIComponent(id)}/events`, { headers, signal });
  if (!answer.body) return;
  let text = "";
  for await (const part of parts(answer.body)) {
    const blocks = (text + part).split("\n\n");
    text = blocks.pop();
    for (const block of blocks) if (!block.startsWith(":")) yield event(block);
  }
}

function event(block) {
  const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s)));
  return { number: fields.id, name: fields.event, data: JSON.parse(fields.data) };
}

async function* parts(body) { // not all browsers can iterate over a stream
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) yield read.value;
  } catch (error) {
    if (error.name !== "AbortError") throw new Problem({ kind: "network" });
  }
}

async function call(path, options) {
  const answer = await request(path, options);
  return answer.json();
}

/** The response; throws a Problem unless it succeeded. */
async function request(path, { headers, ...options } = {}) {
  let answer;
  try {
    answer = await fetch(address(path), { ...options, headers: { ...headers, ...authorization() } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem({ kind: "network" });
  }
  if (!answer.ok) throw Problem.of(await answer.json().catch(() => null), answer.status);
  return answer;
}
