/**
 * Packages for the browser, from npm's cache as they are: no build step, and no request to anybody else.
 * uPlot draws charts, Wokwi's elements draw the board on the bench.
 */
import uplotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import uplotScript from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import wokwiScript from "@wokwi/elements/dist/wokwi-elements.bundle.min.js" with { type: "text" };

/** An inline style in the sensor's picture, without effect on its one line of text, that our policy would refuse. */
const inlineStyle = /\sstyle="line-height:1\.25"/g;

/** Path below `/vendor/` → text. */
export const vendored: ReadonlyMap<string, string> = new Map([
  ["uplot.css", uplotCss as unknown as string],
  ["uplot.js", uplotScript as unknown as string],
  ["wokwi.js", (wokwiScript as unknown as string).replace(inlineStyle, "")],
]);
