// What changes things: start, stop, register, make, remove. The server refuses it to those who may not.

import { under } from "./base.js";
import { refresh, say, tell } from "./refresh.js";

export function watchActions() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-post], [data-delete], [data-make]");
    if (button) act(button);
  });
  watchFiles();
}

async function act(button) {
  if (button.getAttribute("aria-disabled") === "true") return;
  const { post, make, confirm, done, then } = button.dataset;
  const remove = button.dataset.delete;
  if (confirm && !(await confirmed(button))) return;
  tell("");
  button.setAttribute("aria-disabled", "true");
  let error;
  if (make !== undefined) {
    const isPrivate = document.getElementById("private").checked;
    const body = JSON.stringify({ path: make, private: isPrivate });
    ({ error } = await ask("POST", under("/api/v1/makings"), body, "application/json"));
  } else {
    ({ error } = await ask(post ? "POST" : "DELETE", post ?? remove));
  }
  button.removeAttribute("aria-disabled");
  if (then && !error) {
    location.assign(then);
    return;
  }
  await refresh();
  if (error) {
    if (!isTold(error)) tell(error);
  } else if (make !== undefined) {
    document.getElementById("makings").scrollIntoView({ block: "nearest" });
  } else if (done) {
    say(done);
  }
  // The button may be gone: the next place to go on from is where it was.
  if (!button.isConnected && document.activeElement === document.body) document.querySelector(".service .button")?.focus();
}

/** Whether the page says so itself by now. */
function isTold(error) {
  return [...document.querySelectorAll(".problem")].some((problem) => problem.textContent.toLowerCase() === error.toLowerCase());
}

/** Sends a request. Returns the JSON of the answer, if there is any, or what is the matter. */
async function ask(method, url, content, type) {
  try {
    const headers = type ? { "content-type": type } : {};
    const response = await fetch(url, { method, body: content, headers });
    const body = await response.json().catch(() => null);
    if (response.ok) return { error: "", body };
    const text = body?.error ?? `the tracker answered ${response.status} ${response.statusText}`;
    return { error: text.charAt(0).toUpperCase() + text.slice(1) };
  } catch {
    return { error: "The tracker cannot be reached. Is its program still running?" };
  }
}

/** Asks whether it is meant. */
function confirmed(button) {
  const dialog = document.getElementById("confirm");
  const { confirm, confirmText, confirmButton } = button.dataset;
  document.getElementById("confirm-title").textContent = confirm;
  document.getElementById("confirm-text").textContent = confirmText;
  document.getElementById("confirm-button").textContent = confirmButton;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "confirm"), { once: true });
  });
}

/** Registers .torrent files that are chosen, or dropped anywhere onto the page. */
function watchFiles() {
  const zone = document.getElementById("drop");
  if (!zone) return;
  const input = document.getElementById("torrent-file");
  input.addEventListener("change", async () => {
    await register([...input.files]);
    input.value = "";
  });
  let depth = 0;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  const mark = (entered) => {
    depth = entered ? depth + 1 : Math.max(depth - 1, 0);
    zone.classList.toggle("is-over", depth > 0);
  };
  addEventListener("dragenter", (event) => hasFiles(event) && mark(true));
  addEventListener("dragleave", (event) => hasFiles(event) && mark(false));
  addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    depth = 0;
    zone.classList.remove("is-over");
    register([...event.dataTransfer.files]);
  });
}

async function register(files) {
  const list = document.getElementById("registered");
  list.replaceChildren();
  for (const file of files) {
    const item = document.createElement("li");
    item.textContent = `${file.name}: being registered …`;
    list.append(item);
    if (!file.name.toLowerCase().endsWith(".torrent")) {
      item.textContent = `${file.name} is not a .torrent file. ${document.getElementById("drop").dataset.hint}`;
      item.className = "is-error";
      continue;
    }
    const { error, body } = await ask("POST", under("/api/v1/torrents"), file, "application/x-bittorrent");
    if (error) {
      item.textContent = `${file.name}: ${error}`;
      item.className = "is-error";
    } else {
      item.className = "is-done";
      await tellOfRegistered(item, file.name, body.info_hash);
    }
  }
  await refresh();
}

/** Says that a torrent is registered, with a link to its page, and what it still needs. */
async function tellOfRegistered(item, name, infoHash) {
  const link = document.createElement("a");
  link.href = under(`/manage/files/${infoHash}`);
  link.textContent = name;
  item.replaceChildren(link, " is registered.");
  const { body } = await ask("GET", under(`/api/v1/files?search=${infoHash}&page_size=1`));
  if (body?.items?.[0]?.source === "nobody") {
    item.append(" Nobody has it yet: open it in a BitTorrent program on a computer that has it.");
  }
}
