// Buttons that copy a text.

import { say } from "./refresh.js";

export function watchCopying() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    say((await copy(button.dataset.copy)) ? "Copied" : "This browser does not let the page copy: mark the text and copy it");
  });
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // The clipboard is for pages on https and on this machine only. A marked text can be copied everywhere.
    return copyMarked(text);
  }
}

function copyMarked(text) {
  const focused = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "sr-only";
  document.body.append(field);
  field.select();
  try {
    return document.execCommand("copy");
  } finally {
    field.remove();
    focused?.focus({ preventScroll: true });
  }
}
