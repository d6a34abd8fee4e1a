/**
 * Elements from values. Text is always text: nothing here parses markup, so a device may be called `<script>`.
 */

const SVG = "http://www.w3.org/2000/svg";

/** `h("a", { href, class: "x", onclick }, "text", child, …)`; null and false children are left out. */
export function h(tag, props = {}, ...children) {
  return fill(document.createElement(tag), props, children);
}

/** The same for SVG. */
export function s(tag, props = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children);
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") {
      for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    } else if (name in element && (typeof value === "boolean" || name === "value")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child);
  }
}

/** Puts these in place of what `element` holds. */
export function replace(element, ...children) {
  element.replaceChildren();
  add(element, children);
}

/** Sets a text only when it has changed: no work for the layout otherwise. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Tells a screen reader, without moving the focus. */
export function announce(text) {
  setText(document.getElementById("announcer"), text);
}
