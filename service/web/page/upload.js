// Sends files, and tells how far it is; fetch cannot.

import { Problem, address, authorization } from "./api.js";

/** The job made of a form. `onProgress` hears of fractions 0..1. */
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

/** A form of a job: `options` as the API has them, a file or its address among them, and a mask. */
export function formOf(options, file, mask) {
  const form = new FormData();
  form.append("options", JSON.stringify(options));
  if (file) form.append("file", file);
  if (mask) form.append("mask", mask, "mask.png");
  return form;
}
