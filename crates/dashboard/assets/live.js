// Follows the tracker's events while the page is looked at.

import { under } from "./base.js";
import { count, decimal, rate } from "./format.js";
import { held, refresh } from "./refresh.js";
import { clockText } from "./times.js";

/** Milliseconds between two refreshes of tables and plots. */
const REFRESH = 4000;

/** Milliseconds without an event, of which there is one each second, after which the connection counts as lost. */
const PATIENCE = 6000;

/** Milliseconds until it is tried again. */
const RETRY = 3000;

/** The same where there was no place for this page. */
const RETRY_FULL = 30000;

const full = document.getElementById("full");

let source = null;
let lastEvent = Date.now();
let lost = false;

export function watchEvents() {
  watchPause();
  setInterval(async () => {
    if (document.hidden || lost) return;
    const there = await refresh();
    // Without events nothing else would notice.
    if (!there && source?.refused) lose();
  }, REFRESH);
  setInterval(() => {
    if (source && !source.refused && Date.now() - lastEvent > PATIENCE) {
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
  source = new EventSource(document.documentElement.dataset.events ?? under("/api/v1/events"));
  source.addEventListener("open", found);
  const tried = source;
  source.addEventListener("error", async () => {
    // If it is not closed it tries again by itself.
    if (tried.readyState !== EventSource.CLOSED) return lose();
    // Either nobody is there, or too many follow already: then the page can be had all the same.
    tried.refused = true;
    const there = await refresh();
    if (source !== tried) return;
    if (there) {
      found();
      full.hidden = false;
    } else {
      lose();
    }
    setTimeout(() => source === tried && !document.hidden && connect(), there ? RETRY_FULL : RETRY);
  });
  on("status", (data) => {
    found();
    full.hidden = true;
    show(JSON.parse(data));
    if (document.querySelector("[data-each-second]")) refreshNow();
  });
  on("tracker", () => refresh());
  on("torrents", () => soon(1000));
  on("making", () => document.querySelector("[data-region='making']") && soon(300));
  on("log", () => {
    logged();
    if (document.querySelector("[data-region='log']") && !held.has("log")) soon(700);
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

/** Refreshes, unless the page is being fetched already: a status comes each second. */
function refreshNow() {
  refreshNow.running ??= refresh().finally(() => {
    refreshNow.running = null;
  });
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
  full.hidden = true;
  document.documentElement.classList.add("is-lost");
  showPill();
  document.getElementById("connection-since").textContent = clockText(lastEvent);
  document.getElementById("connection").hidden = false;
}

/** The pill, where there is one, says what is known: without a connection, nothing. */
function showPill() {
  const pill = document.getElementById("pill");
  if (!pill) return;
  const text = pill.lastChild;
  if (lost) {
    pill.dataset.known = text.data;
    text.data = "No connection";
  } else if (pill.dataset.known) {
    text.data = pill.dataset.known;
    delete pill.dataset.known;
  }
}

function found() {
  lastEvent = Date.now();
  if (!lost) return;
  lost = false;
  document.documentElement.classList.remove("is-lost");
  showPill();
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
  document.getElementById("pause").textContent = `Resume (${count(missed)} new)`;
}

function watchPause() {
  const pause = document.getElementById("pause");
  pause?.addEventListener("click", () => {
    const paused = !held.has("log");
    if (paused) held.add("log");
    else held.delete("log");
    missed = 0;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    if (!paused) refresh();
  });
}
