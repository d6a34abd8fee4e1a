/** A result as a picture under its query: lines over time, a curve over a number, or bars. */
import { h, replace, s } from "./dom.js";
import { axisTimes } from "./axis_times.js";
import { number } from "./format.js";
import { barSpans } from "./result_plot.js";
import { colour, loadUplot } from "./uplot.js";

const lineColours = ["--temperature", "--humidity", "--accent", "--odd", "--good", "--warn"];
const dashes = [[], [6, 4], [2, 3], [10, 4, 2, 4], [], [6, 4]];
const HEIGHT = 220;

/** What `plotOf` has found, as a card; null for null. */
export function plotCard(plot, signal) {
  if (plot === null) return null;
  return plot.kind === "bars" ? barsCard(plot) : linesCard(plot, signal);
}

function linesCard(plot, signal) {
  const names = plot.lines.map(({ label }) => label).join(", ");
  const holder = h("div", {
    class: "chart",
    role: "img",
    "aria-label": `Lines over ${plot.kind === "lines" ? "time" : plot.by}: ${names}`,
  });
  const card = h("section", { class: "card chart-card", "aria-label": "Plot" }, holder, keyOf(plot));
  loadUplot().then((UPlot) => {
    if (signal.aborted || !holder.isConnected) return;
    new UPlot(
      optionsOf(UPlot, plot, holder.clientWidth),
      [plot.x, ...plot.lines.map(({ values }) => values)],
      holder,
    );
  });
  return card;
}

function keyOf(plot) {
  return h(
    "p",
    { class: "key" },
    plot.lines.map(({ label }, index) =>
      h(
        "span",
        {},
        s(
          "svg",
          { width: 22, height: 8, "aria-hidden": "true" },
          s("path", {
            d: "M0 4h22",
            stroke: `var(${lineColours[index]})`,
            "stroke-width": 2,
            "stroke-dasharray": dashes[index].join(" ") || null,
          }),
        ),
        label,
      )
    ),
    plot.kind === "curve" && h("span", { class: "quiet" }, `over ${plot.by}`),
  );
}

function optionsOf(UPlot, plot, width) {
  const isTime = plot.kind === "lines";
  const axis = {
    stroke: colour("--soft"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1, size: 4 },
    font: `12px ${colour("--sans")}`,
  };
  const texts = (_u, ticks) => ticks.map((tick) => number(tick, tick % 1 === 0 ? 0 : 1));
  return {
    width,
    height: HEIGHT,
    tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC"), // as the table says it
    legend: { show: false },
    cursor: { y: false, drag: { x: true, y: false } },
    scales: { x: { time: isTime } },
    axes: [
      { ...axis, values: isTime ? (u, ticks) => axisTimes(u, ticks, true) : texts, space: 70 },
      { ...axis, size: 52, values: texts },
    ],
    series: [
      {},
      ...plot.lines.map(({ label }, index) => ({
        label,
        stroke: colour(lineColours[index]),
        dash: dashes[index],
        width: 1.75,
        points: { show: plot.x.length < 60, size: 4, fill: colour(lineColours[index]) },
      })),
    ],
  };
}

/** One number at a time: others have other units. */
function barsCard({ by, labels, series }) {
  const list = h("ol", { class: "bars" });
  const draw = ({ values }) => {
    const { zero, spans } = barSpans(values);
    replace(
      list,
      labels.map((label, index) => {
        const span = spans[index];
        const bar = h("span", {
          class: span !== null && span.from < zero ? "bar-fill is-below" : "bar-fill",
        });
        bar.style.left = `${span?.from ?? zero}%`;
        bar.style.width = span === null ? "0" : `${span.to - span.from}%`;
        const value = values[index];
        return h(
          "li",
          {},
          h("span", { class: "bar-name", title: label }, label),
          h("span", { class: "bar-room", "aria-hidden": "true" }, bar),
          h("span", { class: "bar-value" }, value === null ? "NULL" : number(value, value % 1 === 0 ? 0 : 2)),
        );
      }),
    );
  };
  const chooser = series.length > 1 &&
    h(
      "select",
      { "aria-label": "Which number", onchange: ({ target }) => draw(series[target.selectedIndex]) },
      series.map(({ label }) => h("option", {}, label)),
    );
  draw(series[0]);
  return h(
    "section",
    { class: "card bars-card", "aria-label": "Plot" },
    h(
      "div",
      { class: "chart-head" },
      h("h2", {}, series.length > 1 ? chooser : series[0].label, h("span", { class: "quiet" }, ` by ${by}`)),
    ),
    list,
  );
}
