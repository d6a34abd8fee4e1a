/** A trend as a line, with gaps as gaps. */
import { s } from "./dom.js";

const WIDTH = 200;
const HEIGHT = 44;

/** "3:214 4:216" → values by index, nulls where there is none. */
export function trendOf(text, count) {
  const values = new Array(count).fill(null);
  if (!text) return values;
  for (const part of text.split(" ")) {
    const [index, tenths] = part.split(":").map(Number);
    if (index >= 0 && index < count) values[index] = tenths / 10;
  }
  return values;
}

/** Paths of the line and of the area below it; a flat line lies in the middle. Pure. */
export function sparkPaths(values) {
  const known = values.filter((value) => value !== null);
  if (known.length === 0) return { line: "", area: "" };
  const low = Math.min(...known);
  const spread = Math.max(Math.max(...known) - low, 0.6);
  const x = (index) => round(index * WIDTH / Math.max(1, values.length - 1));
  const y = (value) => round(HEIGHT - 4 - (value - low) / spread * (HEIGHT - 8));
  let line = "";
  let area = "";
  let start = null;
  values.forEach((value, index) => {
    if (value === null) return;
    const isFirst = start === null;
    if (isFirst) {
      start = index;
      area += `M${x(index)} ${HEIGHT}`;
    }
    line += `${isFirst ? "M" : "L"}${x(index)} ${y(value)}`;
    area += `L${x(index)} ${y(value)}`;
    if (index === values.length - 1 || values[index + 1] === null) {
      if (start === index) line += `h.01`; // alone, it is still a dot
      area += `L${x(index)} ${HEIGHT}Z`;
      start = null;
    }
  });
  return { line, area };
}

export function spark(values) {
  const { line, area } = sparkPaths(values);
  return s(
    "svg",
    { class: "spark", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" },
    s("path", { class: "area", d: area }),
    s("path", { d: line }),
  );
}

const round = (value) => Math.round(value * 10) / 10;
