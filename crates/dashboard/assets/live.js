// Follows the tracker's events while the page is looked at.

import { count, decimal, rate } from "./format.js";
import { held, refresh } from "./refresh.js";
import { clockText } from "./times.js";

/** Milliseconds between two refreshes of tables and plots. */
const REFRESH = 4000;

/** Milliseconds without an event, of which there is one each second, after which the connection counts as lost. */
const PATIENCE = 6000;

/** Milliseconds until it is tried again. */
const RETRY = 3000;

let source = null;
let lastEvent = Date.now();
let lost = false;

export function watchEvents() {
  watchPause();
  setInterval(() => {
    if (!document.hidden && !lost) refresh();
  }, REFRESH);
  setInterval(() => {
    if (source && Date.now() - lastEvent > PATIENCE) {
      lose();
      connect();
    }
  }, 1000);
  // Browsers open few connections to a server: pages that nobody looks at leave them to others.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      disconnect();
    } else {
      connect();
      refresh();
    }
  });
  addEventListener("pagehide", disconnect);
  addEventListener("pageshow", (event) => event.persisted && connect());
  if (!document.hidden) connect();
}

function connect() {
  disconnect();
  lastEvent = Date.now();
  source = new EventSource("/api/v1/events");
  source.addEventListener("open", found);
  source.addEventListener("error", () => {
    lose();
    // Unless it tries again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(() => source && !document.hidden && connect(), RETRY);
  });
  on("status", (data) => {
    found();
    show(JSON.parse(data));
  });
  on("tracker", () => refresh());
  on("torrents", () => soon(1000));
  on("making", () => document.querySelector("[data-region='making']") && soon(300));
  on("log", () => {
    logged();
    if (location.pathname === "/log" && !held.has("log")) soon(700);
  });
}

function on(name, act) {
  source.addEventListener(name, (event) => {
    lastEvent = Date.now();
    act(event.data);
  });
}

function disconnect() {
  source?.close();
  source = null;
}

/** Refreshes once for all that comes within this many milliseconds. */
function soon(delay) {
  soon.timer ??= setTimeout(() => {
    soon.timer = null;
    if (!document.hidden) refresh();
  }, delay);
}

function lose() {
  if (lost) return;
  lost = true;
  document.documentElement.classList.add("is-lost");
  document.getElementById("connection-since").textContent = clockText(lastEvent);
  document.getElementById("connection").hidden = false;
}

function found() {
  lastEvent = Date.now();
  if (!lost) return;
  lost = false;
  document.documentElement.classList.remove("is-lost");
  document.getElementById("connection").hidden = true;
  refresh();
}

/** Shows the numbers of a status. */
function show(status) {
  const texts = {
    seeders: count(status.seeders),
    leechers: count(status.leechers),
    completed: count(status.completed),
    announces: decimal(status.rates.announces),
    rate: rate(status.rates.download_rate),
  };
  for (const element of document.querySelectorAll("[data-live]")) {
    const text = texts[element.dataset.live];
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
}

let missed = 0;

function logged() {
  if (!held.has("log")) return;
  missed += 1;
  document.getElementById("pause").textContent = `Go on (${count(missed)} new)`;
}

function watchPause() {
  const pause = document.getElementById("pause");
  pause?.addEventListener("click", () => {
    const paused = !held.has("log");
    if (paused) held.add("log");
    else held.delete("log");
    missed = 0;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Go on" : "Pause";
    if (!paused) refresh();
  });
}
