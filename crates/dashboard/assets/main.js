// Puts the parts to work. Without any of this the pages show the state at their loading.

import { watchActions } from "./actions.js";
import { watchCopying } from "./copy.js";
import { watchEvents } from "./live.js";
import { watchPlots } from "./plots.js";
import { watchLinks } from "./refresh.js";
import { watchTimes } from "./times.js";

watchTheme();
watchCodes();
watchPrinting();
watchTimes();
watchLinks();
watchCopying();
watchActions();
watchPlots();
watchEvents();

/** An open QR code closes when something else is done. */
function watchCodes() {
  const close = (except) => {
    for (const code of document.querySelectorAll("details.qr[open]")) {
      if (code !== except) code.open = false;
    }
  };
  document.addEventListener("click", (event) => close(event.target.closest("details.qr")));
  document.addEventListener("keydown", (event) => event.key === "Escape" && close(null));
}

function watchPrinting() {
  document.addEventListener("click", (event) => event.target.closest("[data-print]") && print());
}

function watchTheme() {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    root.dataset.theme = theme;
    try {
      // What the system says is not remembered, so that the page follows it again.
      if ((theme === "dark") === system.matches) localStorage.removeItem("theme");
      else localStorage.setItem("theme", theme);
    } catch {
      // Storage is forbidden: it holds for this page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
}
