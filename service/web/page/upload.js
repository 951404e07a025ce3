// Uploads files with progress, which fetch does not report.

import { Problem, address, authorization } from "./api.js";

/** Send a form and return its job. `onProgress` is called with fractions 0 to 1. */
export function upload(form, onProgress, signal) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", address("v1/jobs"));
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value);
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total, lengthComputable }) => lengthComputable && onProgress(loaded / total);
    request.onload = () => (request.status < 300 ? resolve(request.response) : reject(Problem.of(request.response, request.status)));
    request.onerror = () => reject(new Problem({ kind: "network" }));
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

/** A job's form: `options` as in the API, with the file or its URL, and a mask. */
export function formOf(options, file, mask) {
  const form = new FormData();
  form.append("options", JSON.stringify(options));
  if (file) form.append("file", file);
  if (mask) form.append("mask", mask, "mask.png");
  return form;
}
