// One box that selects all files of a folder.

import { tell } from "./refresh.js";

export function watchSelection() {
  const all = document.getElementById("select-all");
  if (!all) return;
  const boxes = [...all.form.querySelectorAll("input[name='file']")];
  const show = () => {
    const selected = boxes.filter((box) => box.checked).length;
    all.checked = selected === boxes.length;
    all.indeterminate = selected > 0 && selected < boxes.length;
  };
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    show();
  });
  for (const box of boxes) box.addEventListener("change", show);
  all.form.addEventListener("submit", (event) => {
    const isEmpty = !boxes.some((box) => box.checked);
    if (isEmpty) event.preventDefault();
    tell(isEmpty ? "Select one or more files first." : "");
  });
  // Browsers keep what was selected when somebody comes back.
  addEventListener("pageshow", show);
  show();
}
