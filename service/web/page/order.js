// The form for a new job: a file, dropped or chosen, or a URL.

import { byId } from "./dom.js";
import { keep, kept } from "./kept.js";

/** The options that apply to every job. */
export function chosenOptions() {
  const classes = byId("scene-text").checked ? ["overlay", "scene_text"] : ["overlay"];
  return { rights: byId("rights").value, remove_audio: byId("silent").checked, classes };
}

/** Preselect the account's rights, unless the user has chosen before. */
export function presetRights(rights) {
  byId("rights").value = kept("rights") ?? rights ?? "owner";
}

/** `onFile` is called with a file, `onAddress` with a URL. */
export function listenToOrder(onFile, onAddress) {
  const drop = byId("drop");
  byId("rights").addEventListener("change", () => keep("rights", byId("rights").value));
  byId("file").addEventListener("change", ({ target }) => { take(target.files, onFile); target.value = ""; });
  byId("order").addEventListener("submit", (event) => {
    event.preventDefault();
    if (byId("address").value.trim()) onAddress(byId("address").value.trim());
    else byId("address").focus();
  });
  for (const name of ["dragenter", "dragover"]) addEventListener(name, (event) => hover(event, true));
  for (const name of ["dragleave", "drop"]) addEventListener(name, (event) => hover(event, false));
  addEventListener("drop", (event) => take(event.dataTransfer.files, onFile)); // anywhere on the page
  addEventListener("paste", (event) => take(event.clipboardData.files, onFile));
  function hover(event, over) {
    event.preventDefault();
    drop.classList.toggle("over", over);
  }
}

function take(files, onFile) {
  if (files.length) onFile(files[0]);
}
