// Client for the admin API. The key is sent only in a header, and kept only as long as the tab is open.

import { Problem, address } from "../api.js";
import { keepInTab, keptInTab } from "../kept.js";

const NAME = "admin-key";

export const adminKey = () => keptInTab(NAME) ?? "";
export const rememberKey = (key) => keepInTab(NAME, key);

/** What the API has at this path below `v1/admin`. `only`: values of the query; empty ones are left out. */
export function read(path, only = {}) {
  const given = Object.entries(only).filter(([, value]) => value !== "" && value != null);
  return request("GET", given.length ? `${path}?${new URLSearchParams(given)}` : path);
}

export const post = (path, body, headers) => request("POST", path, body, headers);
export const patch = (path, body) => request("PATCH", path, body);
export const remove = (path) => request("DELETE", path);

/** Throws a Problem unless the key opens this page. */
export const tryKey = (key) => request("GET", "status", undefined, {}, key);

/** A name of a change, so that repeating its request changes nothing more. */
export function newEvent() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function request(method, path, body, more = {}, key = adminKey()) {
  const headers = { ...more, Authorization: `Bearer ${key}`, ...(body && { "Content-Type": "application/json" }) };
  let answer;
  try {
    answer = await fetch(address(`v1/admin/${path}`), { method, headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Problem({ kind: "network" });
  }
  if (!answer.ok) throw Problem.of(await answer.json().catch(() => null), answer.status);
  return answer.status === 204 ? null : answer.json();
}
