// Sends a large file in pieces, by tus 1.0.0: after a lost connection, or when the same file is chosen again, it goes on where it stopped.

import { Problem, address, authorization } from "./api.js";
import { keep, kept } from "./kept.js";

const RESUMABLE = "v1/uploads/resumable";
const PIECE_BYTES = 8 * 2 ** 20;
const VERSION = { "Tus-Resumable": "1.0.0" };
const WAIT_SECONDS = [1, 2, 4, 8];
const NOTE_DAYS = 1; // the service keeps a half upload no longer
const LOOK_AGAIN = new Set([408, 409, 423, 460]); // what has arrived is not what we think
const MOST_LOOKS = 8; // in a row, between which nothing arrived

/** Whether a file is better sent in pieces. */
export const isLarge = (file) => file.size > PIECE_BYTES;

/** Upload a file; return its link. `onProgress` is called with fractions 0 to 1, and with null while the service is away. */
export async function sendInPieces(file, onProgress, signal) {
  const place = await placeOf(file, signal);
  try {
    await sendRest(file, place, onProgress, signal);
  } catch (error) {
    if (error.name === "AbortError") fetch(address(place), { method: "DELETE", headers: { ...VERSION, ...authorization() } }).catch(() => {});
    if (error.name === "AbortError" || error.status === 404) note(file, null);
    throw error;
  }
  const answer = await untilThere(() => ask("GET", place.replace(RESUMABLE, "v1/uploads"), {}), onProgress, signal);
  return (await answer.json()).url;
}

/** The file's job is made: chosen again, the file is sent again. */
export const forgetUpload = (file) => note(file, null);

async function sendRest(file, place, onProgress, signal) {
  let offset = await arrived(place, onProgress, signal);
  for (let looks = 0; offset < file.size; ) {
    const before = offset;
    try {
      offset = await sendPiece(file, place, offset, onProgress, signal);
    } catch (error) {
      if (!LOOK_AGAIN.has(error.status) && error.kind !== "network") throw error;
      if (error.kind === "network") onProgress(null);
      else if (looks > MOST_LOOKS) throw error;
      await wait(WAIT_SECONDS[Math.min(looks, WAIT_SECONDS.length - 1)], signal);
      offset = await arrived(place, onProgress, signal);
    }
    looks = offset > before ? 0 : looks + 1;
  }
}

function sendPiece(file, place, offset, onProgress, signal) {
  const piece = file.slice(offset, offset + PIECE_BYTES);
  return checksumOf(piece).then((checksum) => new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch does not report progress
    request.open("PATCH", address(place));
    const headers = { ...VERSION, ...checksum, ...authorization(), "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded }) => onProgress(Math.min(1, (offset + loaded) / file.size));
    request.onload = () => (request.status === 204 ? resolve(Number(request.getResponseHeader("Upload-Offset"))) : reject(problemOf(request)));
    request.onerror = () => reject(new Problem({ kind: "network" }));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    if (signal.aborted) reject(new DOMException("", "AbortError"));
    else request.send(piece);
  }));
}

/** The checksum's header; none where the browser computes none, which is on pages without TLS. */
async function checksumOf(piece) {
  if (!crypto.subtle) return {};
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await piece.arrayBuffer()));
  return { "Upload-Checksum": `sha256 ${btoa(String.fromCharCode(...digest))}` };
}

function problemOf(request) {
  try {
    return Problem.of(JSON.parse(request.responseText), request.status);
  } catch { // a proxy's answer
    return Problem.of(null, request.status);
  }
}

/** How much of the file has arrived. */
async function arrived(place, onProgress, signal) {
  const answer = await untilThere(() => ask("HEAD", place, VERSION), onProgress, signal);
  return Number(answer.headers.get("Upload-Offset"));
}

/** The path of the file's upload: of the one that was begun before, if the service still has it. */
async function placeOf(file, signal) {
  const known = notes()[nameOf(file)]?.place;
  if (known) {
    const answer = await untilThere(() => ask("HEAD", known, VERSION).catch((error) => {
      if (error.kind === "network") throw error;
      return null;
    }), () => {}, signal);
    if (answer) return known;
  }
  const name = btoa(String.fromCharCode(...new TextEncoder().encode(file.name)));
  const answer = await untilThere(() => ask("POST", RESUMABLE, { ...VERSION, "Upload-Length": file.size, "Upload-Metadata": `filename ${name}` }), () => {}, signal);
  const place = `${RESUMABLE}/${answer.headers.get("Location").split("/").pop()}`;
  note(file, place);
  return place;
}

/** What `act` returns, tried again while the service is away. */
async function untilThere(act, onProgress, signal) {
  for (let tries = 0; ; tries++) {
    try {
      return await act();
    } catch (error) {
      if (error.kind !== "network") throw error;
      onProgress(null);
      await wait(WAIT_SECONDS[Math.min(tries, WAIT_SECONDS.length - 1)], signal);
    }
  }
}

async function ask(method, path, headers) {
  let answer;
  try {
    answer = await fetch(address(path), { method, headers: { ...headers, ...authorization() } });
  } catch {
    throw new Problem({ kind: "network" });
  }
  if (!answer.ok) throw Problem.of(await answer.json().catch(() => null), answer.status);
  return answer;
}

function wait(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(new DOMException("", "AbortError")); });
  });
}

// Which uploads were begun, by what the browser says of a file.

const nameOf = (file) => [file.name, file.size, file.lastModified].join("/");

function notes() {
  try {
    const all = Object.entries(JSON.parse(kept("uploads") ?? "{}"));
    return Object.fromEntries(all.filter(([, { at }]) => Date.now() - at < NOTE_DAYS * 86_400_000));
  } catch {
    return {};
  }
}

function note(file, place) {
  const { [nameOf(file)]: _, ...others } = notes();
  keep("uploads", JSON.stringify(place ? { ...others, [nameOf(file)]: { place, at: Date.now() } } : others));
}
