// The form for new jobs: files, dropped, pasted or chosen, or a URL.

import { byId } from "./dom.js";
import { droppedFiles, folderFiles } from "./files.js";
import { keep, kept } from "./kept.js";

/** The options that apply to every job. */
export function chosenOptions() {
  const classes = byId("scene-text").checked ? ["overlay", "scene_text"] : ["overlay"];
  return { rights: byId("rights").value, remove_audio: byId("silent").checked, classes };
}

/** `detect`: find the marks first, and remove none. */
export const chosenKind = () => (byId("look-first").checked ? "detect" : "clean");

/** Preselect the account's rights, unless the user has chosen before. */
export function presetRights(rights) {
  byId("rights").value = kept("rights") ?? rights ?? "owner";
}

/** `onFiles` is called with files, `onAddress` with a URL. */
export function listenToOrder(onFiles, onAddress) {
  const take = (files) => files.length && onFiles(files);
  byId("rights").addEventListener("change", () => keep("rights", byId("rights").value));
  byId("file").addEventListener("change", ({ target }) => { take([...target.files]); target.value = ""; });
  byId("folder").addEventListener("change", ({ target }) => { take(folderFiles(target.files)); target.value = ""; });
  byId("order").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("address").value.trim()) onAddress(byId("address").value.trim());
    else byId("address").focus();
  });
  for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => hover(event, true));
  for (const name of ["dragleave", "drop"]) addEventListener(name, (event) => hover(event, false));
  addEventListener("drop", async (event) => take(await droppedFiles(event.dataTransfer))); // anywhere on the page
  addEventListener("paste", (event) => take([...event.clipboardData.files]));
}

function hover(event, over) {
  event.preventDefault();
  byId("drop").classList.toggle("over", over);
}
