// Times in the viewer's zone, and those that pass.

import { duration } from "./format.js";

const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const short = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const dayAndClock = new Intl.DateTimeFormat("en-GB", {
  day: "numeric",
  month: "short",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
});
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric" });
const weekday = new Intl.DateTimeFormat("en-GB", { weekday: "short" });

/** What the tracker's machine is ahead of this one, in milliseconds: its times are told by its clock. */
let ahead = 0;

/** The time of the tracker's machine, in milliseconds. */
export function now() {
  return Date.now() + ahead;
}

/** Takes the time out of a page that was just fetched. */
export function setClock(page) {
  const secs = Number(page.documentElement.dataset.now);
  // Whole seconds came, up to one ago; so small a difference is none, and times must not jump to and fro.
  if (secs && Math.abs(secs * 1000 + 500 - now()) > 1500) ahead = secs * 1000 + 500 - Date.now();
}

/** A moment, in milliseconds, as hours, minutes and seconds. */
export function clockText(at) {
  return clock.format(at);
}

/** Turns the times below an element, or in a page, into local ones. */
export function localize(root) {
  const today = new Date(now()).toDateString();
  for (const element of root.querySelectorAll("time[data-time='clock']")) {
    const at = new Date(element.dateTime);
    const text = at.toDateString() === today ? clock.format(at) : dayAndClock.format(at);
    if (element.textContent !== text) element.textContent = text;
  }
  for (const element of root.querySelectorAll("time[data-time='day']")) {
    element.textContent = day.format(new Date(element.dateTime));
  }
  for (const element of root.querySelectorAll("[data-tick]")) {
    const at = new Date(Number(element.dataset.tick) * 1000);
    // Where the server wrote a day of the week there is to be one.
    const name = /[a-z]/i.test(element.textContent) ? `${weekday.format(at)} ` : "";
    element.textContent = name + short.format(at);
  }
  pass(root);
}

function pass(root) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const secs = Math.round((now() - Date.parse(element.dateTime)) / 1000);
    const text = passing(element.dataset.time, secs);
    if (text !== undefined && element.textContent !== text) element.textContent = text;
  }
}

function passing(style, secs) {
  switch (style) {
    case "ago":
      return secs < 3 ? "just now" : `${duration(secs)} ago`;
    case "elapsed":
      return duration(Math.max(secs, 0));
    default:
      return undefined;
  }
}

export function watchTimes() {
  setClock(document);
  localize(document);
  setInterval(() => {
    if (!document.hidden) pass(document);
  }, 1000);
}
