/** Small shapes, drawn in the text's colour; each state has a shape of its own. */
import { s } from "./dom.js";

const shapes = {
  dot: () => [s("circle", { cx: 8, cy: 8, r: 5, fill: "currentColor" })],
  ring: () => [s("circle", { cx: 8, cy: 8, r: 4.6, ...line(2), "stroke-dasharray": "2.4 2.4" })],
  half: () => [
    s("circle", { cx: 8, cy: 8, r: 5, ...line(1.8) }),
    s("path", { d: "M8 3a5 5 0 0 1 0 10z", fill: "currentColor" }),
  ],
  slash: () => [
    s("circle", { cx: 8, cy: 8, r: 5, ...line(2) }),
    s("path", { d: "M3.6 12.4 12.4 3.6", ...line(2) }),
  ],
  triangle: () => [
    s("path", { d: "M8 2.2 14.6 13.6H1.4z", fill: "currentColor" }),
    s("path", { d: "M8 6v3.6M8 11.2v1", stroke: "var(--surface)", "stroke-width": 1.5, fill: "none" }),
  ],
  diamond: () => [
    s("path", { d: "M8 1.4 14.6 8 8 14.6 1.4 8z", fill: "currentColor" }),
    s("path", { d: "M8 5v3.6M8 10.2v1", stroke: "var(--surface)", "stroke-width": 1.5, fill: "none" }),
  ],
  line: () => [s("path", { d: "M3 8h10", ...line(2.2) })],
  check: () => [s("path", { d: "m3 8.5 3.3 3.3L13 4.8", ...line(2.2) })],
  cross: () => [s("path", { d: "m4 4 8 8m0-8-8 8", ...line(2) })],
  overview: () => [
    s("path", {
      d: "M2.5 2.5h4.6v4.6H2.5zM8.9 2.5h4.6v4.6H8.9zM2.5 8.9h4.6v4.6H2.5zM8.9 8.9h4.6v4.6H8.9z",
      ...line(1.4),
    }),
  ],
  pipeline: () => [
    s("circle", { cx: 3.4, cy: 8, r: 1.9, ...line(1.4) }),
    s("circle", { cx: 12.6, cy: 8, r: 1.9, ...line(1.4) }),
    s("path", { d: "M5.4 8h5.2M8.6 6 10.6 8l-2 2", ...line(1.4) }),
  ],
  sql: () => [s("path", { d: "m2.5 4.5 3.4 3.5-3.4 3.5M7.6 12h6", ...line(1.6) })],
  alerts: () => [
    s("path", {
      d: "M8 2.2a4 4 0 0 0-4 4c0 3.6-1.4 4.6-1.4 4.6h10.8S12 9.8 12 6.2a4 4 0 0 0-4-4zM6.8 13.2a1.3 1.3 0 0 0 2.4 0",
      ...line(1.4),
    }),
  ],
  bench: () => [
    s("path", { d: "M4 2.6h8v10.8H4zM2 5.2h2M2 8h2M2 10.8h2M12 5.2h2M12 8h2M12 10.8h2", ...line(1.4) }),
    s("circle", { cx: 8, cy: 8, r: 1.5, fill: "currentColor" }),
  ],
  theme: () => [
    s("circle", { cx: 8, cy: 8, r: 5.2, ...line(1.5) }),
    s("path", { d: "M8 2.8a5.2 5.2 0 0 1 0 10.4z", fill: "currentColor" }),
  ],
  back: () => [s("path", { d: "M9.8 3.4 5.2 8l4.6 4.6", ...line(1.7) })],
  forth: () => [s("path", { d: "M6.2 3.4 10.8 8l-4.6 4.6", ...line(1.7) })],
};

function line(width) {
  return {
    fill: "none",
    stroke: "currentColor",
    "stroke-width": width,
    "stroke-linecap": "round",
    "stroke-linejoin": "round",
  };
}

/** Decoration beside a text; screen readers pass it over. */
export function icon(name, className = "") {
  return s(
    "svg",
    { viewBox: "0 0 16 16", class: `icon ${className}`, "aria-hidden": "true" },
    shapes[name](),
  );
}
