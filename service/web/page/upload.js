// Uploads files with progress, which fetch does not report, and again when the connection was lost.

import { Problem, address, authorization } from "./api.js";
import { forgetUpload, isLarge, sendInPieces } from "./pieces.js";

const WAIT_SECONDS = [1, 2, 4, 8];
const MOST_CHARACTERS = 200; // of a name

/**
 * Send a form and return its job. `onProgress` is called with fractions 0 to 1, and with null while the service is away.
 * The key of the request makes it one job, however often it is sent.
 */
export async function upload(form, onProgress, signal) {
  const file = form.get("file");
  const isSentBefore = file && isLarge(file);
  if (isSentBefore) form = await withLink(form, onProgress, signal);
  const requestKey = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  for (let tries = 0; ; tries++) {
    try {
      const job = await sendOnce(form, requestKey, isSentBefore ? () => {} : onProgress, signal);
      if (isSentBefore) forgetUpload(file);
      return job;
    } catch (error) {
      if (!(error instanceof Problem) || error.kind !== "network") throw error;
      onProgress(null);
      await pause(WAIT_SECONDS[Math.min(tries, WAIT_SECONDS.length - 1)], signal);
      if (signal.aborted) throw new DOMException("", "AbortError");
    }
  }
}

/** The form with a link to its file, which is uploaded before. */
async function withLink(form, onProgress, signal) {
  const file = form.get("file");
  const url = await sendInPieces(file, onProgress, signal);
  return formOf({ ...JSON.parse(form.get("options")), source_url: url, name: file.name.slice(-MOST_CHARACTERS) }, null, form.get("mask"));
}

function sendOnce(form, requestKey, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/jobs"));
    for (const [name, value] of Object.entries({ ...authorization(), "Idempotency-Key": requestKey })) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total, lengthComputable }) => lengthComputable && onProgress(loaded / total);
    request.onload = () => (request.status < 300 ? resolve(request.response) : reject(Problem.of(request.response, request.status)));
    request.onerror = () => reject(new Problem({ kind: "network" }));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** Wait, or until the signal is aborted. */
export function pause(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); });
  });
}

/** A job's form: `options` as in the API, with the file or its URL, and a mask. */
export function formOf(options, file, mask) {
  const form = new FormData();
  form.append("options", JSON.stringify(options));
  if (file) form.append("file", file, file.name);
  if (mask) form.append("mask", mask, "mask.png");
  return form;
}
