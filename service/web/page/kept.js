// Browser storage: choices permanently, the key as long as the tab is open unless it is to be remembered. Works without storage, too.

export const kept = (name) => attempt(() => localStorage.getItem(`cleanplate.${name}`));
export const forget = (name) => attempt(() => localStorage.removeItem(`cleanplate.${name}`));
export const keep = (name, value) => attempt(() => localStorage.setItem(`cleanplate.${name}`, value));

const forTab = new Map();

export function keptInTab(name) {
  return forTab.get(name) ?? attempt(() => sessionStorage.getItem(`cleanplate.${name}`));
}

export function keepInTab(name, value) {
  forTab.set(name, value);
  attempt(() => sessionStorage.setItem(`cleanplate.${name}`, value));
}

export function forgetInTab() {
  forTab.clear();
  attempt(() => sessionStorage.clear());
}

function attempt(access) {
  try {
    return access();
  } catch { // storage is disabled
    return null;
  }
}
