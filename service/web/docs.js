// Renders the OpenAPI document as a page. All of its text is inserted as text, never as markup.

import { javascript, python } from "../page/programs.js";
import { curl, isFile, exampleText } from "./curl.js";
import { listenToKey, tryIt } from "./try.js";

const LIMITS = {
  minimum: (value) => `at least ${value}`,
  maximum: (value) => `at most ${value}`,
  minLength: (value) => (value === 1 ? "not empty" : `at least ${value} characters`),
  maxLength: (value) => `at most ${value} characters`,
  minItems: (value) => (value === 1 ? "not empty" : `at least ${value} items`),
  maxItems: (value) => `at most ${value} items`,
  pattern: (value) => `like ${value}`,
};

const PROGRAMS = { curl, Python: python, JavaScript: javascript };

const content = document.getElementById("content");
const shown = { program: "curl", calls: [] };
listenToKey(document.getElementById("key"));
document.getElementById("program").addEventListener("change", ({ target }) => {
  shown.program = target.value;
  for (const write of shown.calls) write();
});
try {
  draw(resolveReferences(await read("openapi.json")));
} catch (error) {
  content.replaceChildren(make("p", { role: "alert" }, `Cannot show the document: ${error.message}`));
}

async function read(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address} returned status ${answer.status}`);
  return answer.json();
}

/** The document with each `$ref` replaced by its target. */
function resolveReferences(api) {
  const follow = (pointer) => pointer.slice(2).split("/").reduce((place, name) => place[name], api);
  const walk = (value) => {
    if (value === null || typeof value !== "object") return value;
    if (typeof value.$ref === "string") return walk(follow(value.$ref));
    for (const name of Object.keys(value)) value[name] = walk(value[name]);
    return value;
  };
  return walk(api);
}

function draw(api) {
  const operations = Object.entries(api.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), ...operation })),
  );
  const groups = api.tags.map((tag) => ({ ...tag, operations: mergeAliases(operations.filter((each) => each.tags[0] === tag.name)) }));
  document.getElementById("version").textContent = api.info.version;
  document.getElementById("summary").textContent = api.info.summary;
  document.getElementById("index").replaceChildren(...groups.map(indexEntry));
  content.replaceChildren(...groups.map(section));
  document.getElementById(location.hash.slice(1))?.scrollIntoView(); // the element did not exist when the browser looked for it
}

/** The operations, with identical ones at other paths merged into `aliases`. */
function mergeAliases(operations) {
  const known = new Map();
  for (const { path, operationId, ...rest } of operations) {
    const same = JSON.stringify(rest);
    if (known.has(same)) known.get(same).aliases.push(path);
    else known.set(same, { path, aliases: [], id: `${rest.method}${path}`.match(/\w+/g).join("-").toLowerCase(), ...rest });
  }
  return [...known.values()];
}

// The parts of the page.

function indexEntry({ name, description, operations }) {
  const links = operations.map(({ id, method, summary }) => make("li", {}, make("a", { href: `#${id}` }, badge(method), summary)));
  const open = matchMedia("(min-width: 64rem)").matches;
  return make("section", {},
    make("a", { className: "group", href: `#${name}` }, name),
    make("p", {}, ...prose(description)),
    make("details", { open }, make("summary", {}, plural(operations.length, "operation")), make("ul", {}, ...links)),
  );
}

function section({ name, description, operations }) {
  const head = [make("h2", {}, make("a", { href: `#${name}` }, name)), make("p", {}, ...prose(description))];
  return make("section", { id: name }, ...head, ...operations.map(article));
}

function article(operation) {
  const { id, method, path, aliases, summary, description } = operation;
  const notes = [description, ...aliases.map((alias) => `Also at \`${alias}\`.`)].filter(Boolean);
  const reference = [...notes.map((note) => make("p", {}, ...prose(note))), ...parameters(operation), ...bodies(operation)];
  return make("article", { id },
    make("h3", {}, make("a", { href: `#${id}` }, summary)),
    make("p", { className: "route" }, badge(method), make("code", {}, path)),
    make("div", { className: "reference" }, ...reference),
    make("div", { className: "examples" }, ...calls(operation), ...answers(operation)),
  );
}

function parameters(operation) {
  const rows = (operation.parameters ?? []).map(({ name, in: place, required, description, ...rest }) => {
    const { schema, example } = rest.content ? Object.values(rest.content)[0] : rest;
    return { name, place, required, description, schema, example: example ?? schema.examples?.[0] };
  });
  return rows.length ? [make("h4", {}, "Parameters"), make("dl", {}, ...rows.flatMap(row))] : [];
}

function bodies(operation) {
  return Object.entries(operation.requestBody?.content ?? {}).flatMap(([type, { schema, example }]) => [
    make("h4", {}, "Body ", make("code", {}, type)),
    schema.description && make("p", {}, ...prose(schema.description)),
    make("dl", {}, ...fields(schema, example).flatMap(row)),
  ]);
}

function calls(operation) {
  const types = Object.entries(operation.requestBody?.content ?? { "": {} });
  return [make("h4", {}, "Call"), ...types.flatMap(([type, body]) => [call(operation, type, body), tryIt(operation, type, body, make)])];
}

/** The call in the chosen language. */
function call(operation, type, body) {
  const place = block("");
  const write = () => { place.firstChild.textContent = PROGRAMS[shown.program](operation, type, body); };
  shown.calls.push(write);
  write();
  return place;
}

function answers(operation) {
  const known = Object.entries(operation.responses).map(([status, { description, content: types }]) => [
    make("p", { className: "answer" }, make("b", {}, status), " ", ...prose(description)),
    ...Object.values(types ?? {}).flatMap((type) => [...examples(type, status < 300), ...(status < 300 ? fieldDetails(type.schema) : [])]),
  ]);
  return [make("h4", {}, "Responses"), ...known.flat()];
}

function examples({ example, examples: named }, open) {
  const found = Object.entries(named ?? (example === undefined ? {} : { example: { value: example } }));
  return found.map(([name, { value }], place) =>
    make("details", { open: open && place === 0 }, make("summary", {}, name.replaceAll("_", " ")), block(exampleText(value))),
  );
}

function fieldDetails(schema) {
  const rows = fields(schema ?? {});
  return rows.length ? [make("details", {}, make("summary", {}, "fields"), make("dl", {}, ...rows.flatMap(row)))] : [];
}

function row({ name, place, required, description, schema, example }) {
  const said = Object.entries(LIMITS).flatMap(([limit, words]) =>
    [schema, ...(schema.anyOf ?? [])].filter((part) => limit in part).map((part) => words(part[limit])),
  );
  if (schema.default !== undefined) said.push(`by default ${JSON.stringify(schema.default)}`);
  if (["string", "number", "boolean"].includes(typeof example)) said.push(`for example ${example}`);
  const marks = [typeOf(schema), place && `in the ${place}`, required && "required"].filter(Boolean).join(", ");
  return [
    make("dt", {}, make("code", {}, name), " ", make("small", {}, marks)),
    make("dd", {}, ...prose(description ?? schema.description ?? ""), said.length > 0 && make("small", {}, said.join("; "))),
  ];
}

/** A row for each field of a schema, required ones first, including nested fields: `boxes[].x1`. */
function fields(schema, example, place = "") {
  if (schema.anyOf) return schema.anyOf.flatMap((choice) => fields(choice, example, place));
  if (schema.type === "array") return fields(schema.items ?? {}, example?.[0], `${place}[]`);
  const needed = (name) => (schema.required ?? []).includes(name);
  const inOrder = Object.entries(schema.properties ?? {}).sort(([one], [other]) => needed(other) - needed(one));
  return inOrder.flatMap(([name, field]) => {
    const within = place ? `${place}.${name}` : name;
    const own = { name: within, required: needed(name), schema: field, example: example?.[name] };
    return [own, ...fields(field, example?.[name], within)];
  });
}

function typeOf(schema) {
  if (isFile(schema)) return "file";
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" or ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return `list of ${typeOf(schema.items ?? {})}`;
  return schema.type ?? "anything";
}

// Building blocks.

function make(name, properties, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children.filter(Boolean));
  return element;
}

/** Text in which parts between backticks are code. */
function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? make("code", {}, part) : part));
}

function badge(method) {
  return make("span", { className: `method ${method.toLowerCase()}` }, method);
}

function block(text) {
  const code = make("pre", {}, text);
  const button = make("button", { type: "button", onclick: () => copy(code, button) }, "copy");
  return make("div", { className: "block" }, code, button);
}

async function copy(code, button) {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch { // browsers offer no clipboard to pages loaded over plain HTTP from another machine
    getSelection().selectAllChildren(code);
    button.textContent = "press Ctrl-C";
  }
}

function plural(count, thing) {
  return `${count} ${thing}${count === 1 ? "" : "s"}`;
}
