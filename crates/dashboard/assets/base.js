// The paths of the tracker, where a reverse proxy offers it under a path of its own.

/** That path, or nothing, is what stands before the folder of this file. */
const { pathname } = new URL(import.meta.url);
const base = pathname.slice(0, pathname.lastIndexOf("/assets/"));

/** A path of the tracker as the browser has to ask for it. The URLs in pages are so already. */
export function under(path) {
  return base + path;
}
