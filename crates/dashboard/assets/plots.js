// Reads the values of plots, under the pointer and by the arrow keys.

import { count, decimal, rate } from "./format.js";
import { clockText } from "./times.js";

const texts = { count, decimal, rate };

export function watchPlots() {
  for (const area of document.querySelectorAll("[data-plot]")) watch(area);
}

function watch(area) {
  const cursor = kept("div", "plot-cursor");
  const readout = kept("div", "plot-readout");
  area.append(cursor, readout);
  let values = JSON.parse(area.dataset.plot);
  /** The moment that is read, in seconds; none when nobody reads. */
  let read = null;

  area.tabIndex = 0;
  area.setAttribute("role", "slider");
  area.setAttribute("aria-label", `${area.dataset.label}: values over time`);
  area.setAttribute("aria-valuemin", "0");
  describe();

  area.addEventListener("pointermove", (event) => {
    const place = measure();
    if (!place) return;
    const part = (event.clientX - place.left) / (place.right - place.left);
    show(values.from + part * (values.to - values.from));
  });
  area.addEventListener("pointerleave", hide);
  area.addEventListener("focus", () => area.matches(":focus-visible") && show(values.times.at(-1)));
  area.addEventListener("blur", hide);
  area.addEventListener("keydown", (event) => {
    const last = values.times.length - 1;
    const index = nearest(read ?? values.times[last]);
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -20, PageUp: 20, Home: -last, End: last };
    if (event.key === "Escape") {
      hide();
    } else if (event.key in steps && last >= 0) {
      event.preventDefault();
      show(values.times[Math.min(Math.max(index + steps[event.key], 0), last)]);
    }
  });
  document.addEventListener("refreshed", () => {
    values = JSON.parse(area.dataset.plot);
    if (read === null) describe();
    else show(read);
  });

  /** The plot within the area, as it is drawn now. */
  function measure() {
    const svg = [...area.querySelectorAll("svg")].find((drawn) => drawn.getClientRects().length);
    if (!svg) return null;
    const box = svg.getBoundingClientRect();
    const scale = box.width / Number(svg.dataset.width);
    return { left: box.left + Number(svg.dataset.left) * scale, right: box.left + Number(svg.dataset.right) * scale };
  }

  function nearest(time) {
    let best = 0;
    for (let index = 1; index < values.times.length; index += 1) {
      if (Math.abs(values.times[index] - time) < Math.abs(values.times[best] - time)) best = index;
    }
    return best;
  }

  function show(time) {
    const place = measure();
    if (time === undefined || !place || !values.times.length) return;
    const index = nearest(time);
    read = values.times[index];
    const box = area.getBoundingClientRect();
    const part = (read - values.from) / (values.to - values.from);
    const x = place.left - box.left + Math.min(Math.max(part, 0), 1) * (place.right - place.left);
    cursor.hidden = false;
    cursor.style.left = `${x}px`;
    readout.replaceChildren(line(clockText(read * 1000), "plot-time"));
    for (const { name, class: kind, values: numbers } of values.lines) {
      const row = line("", `key is-${kind}`);
      row.append(`${name} `, strong(texts[values.unit](numbers[index])));
      readout.append(row);
    }
    readout.hidden = false;
    const width = readout.offsetWidth;
    readout.style.left = `${x + 12 + width < box.width ? x + 12 : Math.max(x - 12 - width, 0)}px`;
    describe(index);
  }

  function hide() {
    read = null;
    cursor.hidden = true;
    readout.hidden = true;
  }

  /** Says the values to those who do not see them. */
  function describe(index = values.times.length - 1) {
    area.setAttribute("aria-valuemax", String(Math.max(values.times.length - 1, 0)));
    area.setAttribute("aria-valuenow", String(Math.max(index, 0)));
    const said = values.lines.map((one) => `${one.name} ${texts[values.unit](one.values[index] ?? 0)}`).join(", ");
    const text = index < 0 ? "Nothing has been recorded yet" : `${clockText(values.times[index] * 1000)}: ${said}`;
    area.setAttribute("aria-valuetext", text);
  }
}

function kept(tag, className) {
  const element = document.createElement(tag);
  element.className = className;
  element.dataset.keep = "";
  element.hidden = true;
  return element;
}

function line(text, className) {
  const element = document.createElement("div");
  element.className = className;
  element.textContent = text;
  return element;
}

function strong(text) {
  const element = document.createElement("strong");
  element.textContent = text;
  return element;
}
