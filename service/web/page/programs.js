// Renders an operation as a program in Python or JavaScript, with nothing but what the language brings.

import { address, exampleText, isFile, neededHeaders } from "../docs/curl.js";

const KEY = "$CLEANPLATE_KEY"; // as in the curl commands
const FORM = "multipart/form-data";
const OPEN_FILE = 'const { openAsBlob } = await import("node:fs");';
const KEY_WORD = "YOUR_API_KEY"; // in examples whose body contains the key

export function python(operation, type, body) {
  if (type === FORM) return pythonForm(operation, body);
  const { method, url, headers, text } = requestOf(operation, type, body);
  const data = isBytes(type, body) ? ['    data=open("FILE", "rb").read(),'] : text === null ? [] : [`    data=${JSON.stringify(text)}.encode(),`];
  return [
    "import urllib.request",
    "",
    "request = urllib.request.Request(",
    `    ${JSON.stringify(url)},`,
    `    method="${method}",`,
    `    headers=${JSON.stringify(headers)},`,
    ...data,
    ")",
    "print(urllib.request.urlopen(request).read().decode())",
  ].join("\n");
}

export function javascript(operation, type, body) {
  if (type === FORM) return javascriptForm(operation, body);
  const { method, url, headers, text } = requestOf(operation, type, body);
  const data = isBytes(type, body) ? ['  body: await openAsBlob("FILE"),'] : text === null ? [] : [`  body: JSON.stringify(${text}),`];
  return [
    ...(isBytes(type, body) ? [OPEN_FILE, ""] : []),
    `const answer = await fetch(${JSON.stringify(url)}, {`,
    `  method: "${method}",`,
    `  headers: ${JSON.stringify(headers)},`,
    ...data,
    "});",
    "console.log(await answer.text());",
  ].join("\n");
}

const isBytes = (type, body) => Boolean(type) && isFile(body.schema);

function requestOf(operation, type, body) {
  const headers = neededHeaders(operation);
  if (operation.security) headers.Authorization = `Bearer ${KEY}`;
  if (type) headers["Content-Type"] = type;
  const text = type && !isBytes(type, body) ? exampleText(body.example).replaceAll(KEY_WORD, KEY) : null;
  return { method: operation.method, url: address(operation), headers, text };
}

/** The parts of a form: name, and value, or null of a file. */
function partsOf({ schema, example = {} }) {
  const shown = Object.entries(schema.properties).filter(([name]) => name in example || (schema.required ?? []).includes(name));
  return shown.map(([name, field]) => [name, isFile(field) ? null : exampleText(example[name])]);
}

function pythonForm(operation, body) {
  const { method, url, headers } = requestOf(operation, "", body);
  const parts = partsOf(body).map(([name, value]) =>
    (value === null ? `    'name="${name}"; filename="FILE"': open("FILE", "rb").read(),` : `    'name="${name}"': ${JSON.stringify(value)}.encode(),`));
  return [
    "import urllib.request",
    "",
    "parts = {",
    ...parts,
    "}",
    String.raw`heads = {head: f"--PART\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() for head in parts}`,
    String.raw`data = b"".join(heads[head] + value + b"\r\n" for head, value in parts.items()) + b"--PART--\r\n"`,
    `headers = ${JSON.stringify({ ...headers, "Content-Type": `${FORM}; boundary=PART` })}`,
    `request = urllib.request.Request(${JSON.stringify(url)}, data, headers, method="${method}")`,
    "print(urllib.request.urlopen(request).read().decode())",
  ].join("\n");
}

function javascriptForm(operation, body) {
  const { method, url, headers } = requestOf(operation, "", body);
  const parts = partsOf(body).map(([name, value]) =>
    `form.append(${JSON.stringify(name)}, ${value === null ? 'await openAsBlob("FILE"), "FILE"' : JSON.stringify(value)});`);
  return [
    OPEN_FILE,
    "",
    "const form = new FormData();",
    ...parts,
    `const answer = await fetch(${JSON.stringify(url)}, { method: "${method}", headers: ${JSON.stringify(headers)}, body: form });`,
    "console.log(await answer.text());",
  ].join("\n");
}
