// Renders an operation as a curl command.

const ROOT = new URL(".", document.baseURI).href.replace(/\/$/, ""); // of the service, including a proxy's path prefix
const KEY_WORD = "YOUR_API_KEY"; // in examples whose body contains the key
const SHORT_CHARACTERS = 60; // shorter JSON stays on one line

/** The curl command for an operation, with a body of this type. */
export function curl(operation, type, { schema, example }) {
  const { method, security, responses, requestBody } = operation;
  const options = [];
  if (method === "HEAD") options.push("--head");
  else if (method !== (requestBody ? "POST" : "GET")) options.push(`--request ${method}`);
  else if (responses[303] || responses[307]) options.push("--fail --location --remote-name --remote-header-name");
  if (responses[200]?.content?.["text/event-stream"]) options.push("--no-buffer");
  if (security) options.push('--header "Authorization: Bearer $CLEANPLATE_KEY"');
  for (const header of Object.entries(neededHeaders(operation))) options.push(`--header ${shellQuoted(header.join(": "))}`);
  if (type === "multipart/form-data") options.push(...parts(schema, example));
  else if (type) options.push(`--header ${shellQuoted(`Content-Type: ${type}`)}`);
  if (type && isFile(schema)) options.push("--data-binary @FILE");
  else if (type && type !== "multipart/form-data") options.push(`--data ${shellQuoted(exampleText(example))}`);
  return [`curl ${shellQuoted(address(operation))}`, ...options].join(" \\\n  ");
}

/** The operation's URL, with its required parameters and those with examples. */
export function address({ path, parameters: all = [] }) {
  const query = new URLSearchParams();
  let filled = path;
  for (const { name, in: place, required, schema, example = schema?.examples?.[0] } of all) {
    const value = example ?? name.toUpperCase();
    if (place === "path") filled = filled.replace(`{${name}}`, () => value);
    else if (place === "query" && (required || example !== undefined)) query.set(name, value);
  }
  return `${ROOT}${filled}${query.size ? `?${query}` : ""}`;
}

/** The headers that the operation cannot do without, besides the key. */
export function neededHeaders({ parameters = [] }) {
  const needed = parameters.filter(({ in: place, required }) => place === "header" && required);
  return Object.fromEntries(needed.map(({ name, schema, example = schema?.examples?.[0] }) => [name, example ?? name.toUpperCase()]));
}

function parts(schema, example = {}) {
  const shown = Object.entries(schema.properties).filter(([name]) => name in example || schema.required.includes(name));
  return shown.map(([name, field]) => `--form ${shellQuoted(`${name}=${isFile(field) ? "@FILE" : example[name]}`)}`);
}

export function isFile(schema) {
  return schema.format === "binary";
}

/** Quote for the shell; only the key stays a variable. */
function shellQuoted(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`.replaceAll(KEY_WORD, `'"$CLEANPLATE_KEY"'`);
}

/** An example value: text as it is, anything else as JSON. */
export function exampleText(value) {
  if (typeof value === "string") return value;
  const line = JSON.stringify(value);
  return line.length <= SHORT_CHARACTERS ? line : JSON.stringify(value, null, 2);
}
