/** Loads uPlot when the first chart is wanted. */
import { h } from "./dom.js";

let loading = null;

/** The class `uPlot`. */
export function loadUplot() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(
      h("link", { rel: "stylesheet", href: "/vendor/uplot.css" }),
      h("script", {
        src: "/vendor/uplot.js",
        onload: () => resolve(globalThis.uPlot),
        onerror: () => reject(new Error("The charts' script can't be loaded.")),
      }),
    );
  });
  return loading;
}

/** A colour of `style.css`, as it is in the present theme. */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
