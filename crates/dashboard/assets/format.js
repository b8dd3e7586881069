// Numbers, sizes and lengths of time as people read them. src/web/format.rs says the same on the server: change both.

export function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, ",");
}

export function decimal(number) {
  if (!Number.isFinite(number)) return "0";
  const value = Math.min(Math.max(number, 0), 1e15);
  if (value >= 99.95) return count(value);
  const text = value.toFixed(value >= 9.995 ? 1 : 2);
  return text.replace(/\.?0+$/, "");
}

export function bytes(number) {
  const units = ["kB", "MB", "GB", "TB", "PB", "EB"];
  if (!(number >= 999.5)) return `${Math.round(Math.max(number || 0, 0))} B`;
  let value = number / 1000;
  let unit = 0;
  while (value >= 999.5 && unit + 1 < units.length) {
    value /= 1000;
    unit += 1;
  }
  return `${decimal(value)} ${units[unit]}`;
}

export function rate(number) {
  return `${bytes(number)}/s`;
}

export function duration(secs) {
  const minutes = Math.floor(secs / 60);
  const hours = Math.floor(secs / 3600);
  const days = Math.floor(secs / 86400);
  const two = (first, name, second, other) => (second ? `${first} ${name} ${second} ${other}` : `${first} ${name}`);
  if (minutes === 0) return `${Math.floor(secs)} s`;
  if (hours === 0) return `${minutes} min`;
  if (days === 0) return two(hours, "h", minutes % 60, "min");
  return two(days, days === 1 ? "day" : "days", hours % 24, "h");
}
