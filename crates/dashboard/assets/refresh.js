// Fetches the page again and takes its regions over: there is one rendering, the server's.

import { morph } from "./morph.js";
import { localize, setClock } from "./times.js";

/** Regions that are not to change now, by their `data-region`. */
export const held = new Set();

let running = null;
let again = false;
let wanted = false;

/** Brings all regions up to date, those that are held only if somebody asked for something else to be shown. Calls while it
    works become one more round after it. Tells whether the tracker answered. */
export function refresh({ asked = false } = {}) {
  wanted ||= asked;
  if (running) {
    again = true;
    return running;
  }
  running = (async () => {
    try {
      let there;
      do {
        again = false;
        there = await round();
      } while (again);
      return there;
    } finally {
      running = null;
    }
  })();
  return running;
}

async function round() {
  const url = location.href;
  const asked = wanted;
  wanted = false;
  let response;
  let html;
  try {
    response = await fetch(url, { headers: { accept: "text/html" }, cache: "no-store" });
    html = await response.text();
  } catch {
    // The connection is lost, which the event stream notices, too, and tells.
    return false;
  }
  if (url !== location.href) {
    again = true;
    wanted ||= asked;
    return true;
  }
  const page = new DOMParser().parseFromString(html, "text/html");
  if (!response.ok) {
    // A torrent that is gone, say. What is shown stays, and says why nothing moves.
    const error = page.querySelector(".error-page .error-text");
    tell(error?.textContent ?? `The tracker answers: ${response.status}`);
    return true;
  }
  if (page.documentElement.dataset.page !== document.documentElement.dataset.page) {
    // Another file is there now, or several in place of the only one.
    location.reload();
    return true;
  }
  setClock(page);
  localize(page);
  for (const region of document.querySelectorAll("[data-region]")) {
    const newer = page.getElementById(region.id);
    if (newer && (asked || !held.has(region.dataset.region))) morph(region, newer);
  }
  document.dispatchEvent(new CustomEvent("refreshed", { detail: page }));
  return true;
}

/** Shows what is the matter, until something else is, or somebody does something else. */
export function tell(text) {
  const notice = document.getElementById("notice");
  notice.textContent = text;
  notice.hidden = !text;
  if (text) notice.scrollIntoView({ block: "nearest" });
}

/** Says something that needs no attention, and is gone after a while. */
export function say(text) {
  const said = document.getElementById("said");
  said.textContent = text;
  clearTimeout(say.timer);
  say.timer = setTimeout(() => {
    said.textContent = "";
  }, 4000);
}

/** Follows links and filters that change only the regions, without a new page. */
export function watchLinks() {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-in-place]");
    if (!link || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    history.pushState(null, "", link.href);
    refresh({ asked: true }).then(fillFilters);
  });
  addEventListener("popstate", () => refresh({ asked: true }).then(fillFilters));
  // Forms come and go with their regions.
  const onForm = (name, act) => {
    document.addEventListener(name, (event) => {
      const form = event.target.closest("form[data-in-place]");
      if (form) act(form, event);
    });
  };
  let timer;
  const filter = (form) => {
    clearTimeout(timer);
    const query = new URLSearchParams(new FormData(form));
    for (const [name, value] of [...query]) {
      if (!value) query.delete(name);
    }
    history.replaceState(null, "", query.size ? `${form.action}?${query}` : form.action);
    refresh({ asked: true });
  };
  onForm("input", (form) => {
    clearTimeout(timer);
    timer = setTimeout(() => filter(form), 200);
  });
  onForm("change", filter);
  onForm("submit", (form, event) => {
    event.preventDefault();
    filter(form);
  });
}

/** After a link, the filters are to say what the link said. */
function fillFilters() {
  const query = new URLSearchParams(location.search);
  for (const field of document.querySelectorAll("form[data-in-place] [name]")) {
    if (field === document.activeElement) continue;
    if (field.localName === "select") {
      const named = query.get(field.name) ?? field.querySelector("option[selected]")?.value;
      if (named && [...field.options].some((option) => option.value === named)) field.value = named;
    } else {
      field.value = query.get(field.name) ?? "";
    }
  }
}
