// Makes a part of the page like a newer one, and touches only what differs: so focus, selection, what is scrolled and what is
// opened stay as they are.

export function morph(from, to) {
  const focused = document.activeElement;
  morphNode(from, to);
  // An element that was moved has lost it.
  if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function morphNode(from, to) {
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.nodeValue !== to.nodeValue) from.nodeValue = to.nodeValue;
    return;
  }
  morphAttributes(from, to);
  morphChildren(from, to);
}

function morphAttributes(from, to) {
  // What scripts have put on such an element stays there.
  const ours = from.dataset.morph === "children";
  for (const { name } of [...from.attributes]) {
    const opened = name === "open" && from.localName === "details";
    if (!ours && !opened && !to.hasAttribute(name)) from.removeAttribute(name);
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
}

function morphChildren(from, to) {
  const byId = new Map();
  for (const child of from.children) {
    if (child.id) byId.set(child.id, child);
  }
  let place = skipKept(from.firstChild);
  for (const wanted of [...to.childNodes]) {
    const found = (wanted.id && byId.get(wanted.id)) || (place && alike(place, wanted) ? place : null);
    if (found && found.nodeName === wanted.nodeName) {
      if (found === place) place = skipKept(place.nextSibling);
      else from.insertBefore(found, place);
      morphNode(found, wanted);
    } else {
      from.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = skipKept(place.nextSibling);
    place.remove();
    place = next;
  }
}

/** Passes over what scripts have put there. */
function skipKept(node) {
  let kept = node;
  while (kept?.dataset?.keep !== undefined) kept = kept.nextSibling;
  return kept;
}

/** Whether one can become the other; those with ids are somebody. */
function alike(node, wanted) {
  return node.nodeType === wanted.nodeType && node.nodeName === wanted.nodeName && !node.id && !wanted.id;
}
