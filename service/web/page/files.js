// Files that a person drops, pastes or chooses: all of them, in their order, also those in folders.

/** The files of a drop; those of a folder in the order of their names. Must be called while the event is handled. */
export async function droppedFiles({ items, files }) {
  const entries = [...items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  if (!entries.some((entry) => entry?.isDirectory)) return [...files];
  const found = await Promise.all(entries.filter(Boolean).map(filesOf));
  return found.flat();
}

/** The files of a chosen folder: without hidden ones, and in the order of their names. */
export function folderFiles(files) {
  const path = (file) => file.webkitRelativePath || file.name;
  const seen = [...files].filter((file) => !path(file).split("/").some(isHidden));
  return seen.sort((one, other) => inOrder(path(one), path(other)));
}

async function filesOf(entry) {
  if (entry instanceof File) return [entry];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const entries = (await entriesOf(entry.createReader())).filter(({ name }) => !isHidden(name));
  entries.sort((one, other) => inOrder(one.name, other.name));
  return (await Promise.all(entries.map(filesOf))).flat();
}

async function entriesOf(reader) { // a browser gives them a hundred at a time
  const read = () => new Promise((resolve, reject) => reader.readEntries(resolve, reject));
  const all = [];
  for (let some = await read(); some.length; some = await read()) all.push(...some);
  return all;
}

const isHidden = (name) => name.startsWith(".");
const inOrder = (one, other) => one.localeCompare(other, undefined, { numeric: true });
