// Renders an operation as a program in Python or JavaScript, with nothing but what the language brings.

import { address, exampleText } from "../docs/curl.js";

const KEY = "$CLEANPLATE_KEY"; // as in the curl commands
const KEY_WORD = "YOUR_API_KEY"; // in examples whose body contains the key

export function python(operation, type, body) {
  const { method, url, headers, text } = requestOf(operation, type, body);
  const data = text === null ? [] : [`    data=${JSON.stringify(text)}.encode(),`];
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
  const { method, url, headers, text } = requestOf(operation, type, body);
  const data = text === null ? [] : [`  body: JSON.stringify(${text}),`];
  return [
    `const answer = await fetch(${JSON.stringify(url)}, {`,
    `  method: "${method}",`,
    `  headers: ${JSON.stringify(headers)},`,
    ...data,
    "});",
    "console.log(await answer.text());",
  ].join("\n");
}

function requestOf(operation, type, body) {
  const headers = {};
  if (operation.security) headers.Authorization = `Bearer ${KEY}`;
  if (type) headers["Content-Type"] = type;
  const text = type ? exampleText(body.example).replaceAll(KEY_WORD, KEY) : null;
  return { method: operation.method, url: address(operation), headers, text };
}
