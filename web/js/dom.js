// Makes and changes elements. Text goes in as text: nothing here or elsewhere reads HTML from a string, and the
// page's policy (Trusted Types) would refuse it.

/** The element with this id, which the page must have. */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") for (const [event, run] of Object.entries(value)) element.addEventListener(event, run);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Sets an element's text, and only if it changes: a screen reader would read it again. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows or hides. */
export function show(element, visible) {
  if (element.hidden === visible) element.hidden = !visible;
}

/** Marks an element with a word that the style sheet knows. */
export function mark(element, name, value) {
  if (element.dataset[name] !== value) element.dataset[name] = value;
}

/**
 * Makes a list's children those of `items`, keeping the elements of items that stay, so that focus and scroll position
 * stay too. `key` names an item, `create` makes its element, `update` brings it up to date.
 */
export function reconcile(list, items, { key, create, update }) {
  const known = new Map();
  for (const child of [...list.children]) known.set(child.dataset.key, child);
  let before = list.firstElementChild;
  for (const item of items) {
    const name = String(key(item));
    let element = known.get(name);
    known.delete(name);
    if (!element) {
      element = create(item);
      element.dataset.key = name;
    }
    if (element === before) before = before.nextElementSibling;
    else list.insertBefore(element, before);
    update?.(element, item);
  }
  for (const gone of known.values()) gone.remove();
}

/** Runs `draw` once in the next frame, however often it is asked to; in a hidden page, when it is shown again. */
export function oncePerFrame(draw) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      draw();
    });
  };
}
