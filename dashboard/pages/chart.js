/**
 * A channel over time: the mean as a line in its min–max band, gaps hatched with their cause, revised windows marked.
 * Drag to zoom, click or Enter for the explanation of a window, arrow keys to walk.
 */
import { h, replace } from "./dom.js";
import { isUtc, number, windowText } from "./format.js";
import { axisTimes } from "./axis_times.js";
import { lonely } from "./series.js";
import { absences } from "./states.js";
import { colour, loadUplot } from "./uplot.js";

const HEIGHT = 250;

/**
 * `channel` is `temperature` or `humidity`. `events` has `zoom(fromMs, toMs)`, `pick(startMs)`. The result's
 * `show(data, fromMs, toMs, sizeMs)` draws; `element` goes into the page.
 */
export async function createChart({ channel, label, unit, events, signal }) {
  const UPlot = await loadUplot();
  const readout = h("p", { class: "readout", "aria-live": "off" });
  const holder = h("div", {
    class: "chart",
    tabindex: 0,
    role: "img",
    "aria-roledescription": "chart",
    "aria-label": `${label}: nothing drawn yet`,
  });
  const element = h(
    "section",
    { class: "card chart-card", "aria-label": label },
    h("div", { class: "chart-head" }, h("h2", {}, label), readout),
    holder,
  );
  let shown = null;
  let plot = null;
  let drag = false;

  const index = () => plot?.cursor.idx ?? null;
  const tell = () => {
    const at = index();
    const window = at === null ? null : shown.data.windows[at];
    const startMs = at === null ? null : shown.data.starts[at];
    replace(readout, ...readoutOf(shown, at, startMs, window, channel, unit));
  };

  const draw = () => {
    if (shown === null || signal.aborted) return;
    const { data, fromMs, toMs } = shown;
    const series = data[channel];
    const width = holder.clientWidth;
    if (width === 0) return;
    plot?.destroy();
    holder.setAttribute("aria-label", summaryOf(label, unit, data, channel));
    const line = colour(`--${channel}`);
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { stroke: colour("--line"), width: 1, size: 4 },
      font: `12px ${colour("--sans")}`,
    };
    const band = { stroke: "transparent", width: 0, points: { show: false } };
    plot = new UPlot(
      {
        width,
        height: HEIGHT,
        ...isUtc() ? { tzDate: (seconds) => UPlot.tzDate(new Date(seconds * 1_000), "Etc/UTC") } : {},
        padding: [12, 8, 0, 0],
        legend: { show: false },
        cursor: {
          sync: { key: "device", setSeries: false },
          points: { size: 9, width: 2, stroke: line, fill: colour("--surface") },
          drag: { x: true, y: false, setScale: false },
          y: false,
        },
        scales: {
          x: { time: true, range: [fromMs / 1_000, toMs / 1_000] },
          y: { range: (_plot, low, high) => rangeOf(low, high, channel) },
        },
        axes: [
          { ...axis, values: (u, ticks) => axisTimes(u, ticks, isUtc()), space: 70 },
          {
            ...axis,
            size: 46,
            values: (_plot, ticks) =>
              ticks.map((tick) => String(Math.round(tick * 100) / 100).replace("-", "−")),
          },
        ],
        series: [
          {},
          {
            stroke: line,
            width: 1.75,
            spanGaps: false,
            points: { show: true, size: 5, fill: line, width: 0, filter: () => lonely(series[0]) },
          },
          band,
          band,
        ],
        bands: [{ series: [3, 2], fill: colour(`--${channel}-band`) }],
        hooks: {
          drawClear: [(u) => drawGaps(u, shown.data.gaps)],
          draw: [(u) => drawRevisions(u, shown.data)],
          setCursor: [tell],
          setSelect: [(u) => {
            if (u.select.width < 8) return;
            drag = true;
            const [from, to] = [
              u.posToVal(u.select.left, "x"),
              u.posToVal(u.select.left + u.select.width, "x"),
            ];
            u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
            events.zoom(from * 1_000, to * 1_000);
          }],
        },
      },
      [data.x, ...series],
      holder,
    );
    plot.over.addEventListener("click", () => {
      if (drag) drag = false;
      else if (index() !== null) events.pick(shown.data.starts[index()]);
    });
    plot.over.addEventListener("dblclick", () => events.zoom(null, null));
    tell();
  };

  const walk = (steps) => {
    const length = shown?.data.x.length ?? 0;
    if (length === 0) return;
    const next = Math.max(0, Math.min(length - 1, (index() ?? length) + steps));
    plot.setCursor({ left: plot.valToPos(shown.data.x[next], "x"), top: 10 });
    const window = shown.data.windows[next];
    holder.setAttribute("aria-label", spoken(shown, next, window, channel, unit));
  };
  holder.addEventListener("keydown", (event) => {
    const act = {
      ArrowLeft: () => walk(event.shiftKey ? -10 : -1),
      ArrowRight: () => walk(event.shiftKey ? 10 : 1),
      Home: () => walk(-Infinity),
      End: () => walk(Infinity),
      Enter: () => index() !== null && events.pick(shown.data.starts[index()]),
      "+": () => events.zoom((3 * shown.fromMs + shown.toMs) / 4, (shown.fromMs + 3 * shown.toMs) / 4),
      "-": () => events.zoom((3 * shown.fromMs - shown.toMs) / 2, (3 * shown.toMs - shown.fromMs) / 2),
    }[event.key];
    if (act === undefined) return;
    event.preventDefault();
    act();
  });
  const resized = new ResizeObserver(() => {
    if (plot !== null && holder.clientWidth > 0 && holder.clientWidth !== plot.width) {
      plot.setSize({ width: holder.clientWidth, height: HEIGHT });
    } else if (plot === null) draw();
  });
  resized.observe(holder);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal });
  addEventListener("theme", draw, { signal });
  signal.addEventListener("abort", () => {
    resized.disconnect();
    plot?.destroy();
    plot = null;
  }, { once: true });

  return {
    element,
    show(data, fromMs, toMs, sizeMs) {
      const isSameView = shown !== null && plot !== null && shown.fromMs === fromMs &&
        shown.sizeMs === sizeMs;
      shown = { data, fromMs, toMs, sizeMs };
      if (!isSameView) return draw();
      plot.setData([data.x, ...data[channel]], false);
      plot.setScale("x", { min: fromMs / 1_000, max: toMs / 1_000 });
      tell();
    },
  };
}

/** Enough room around the values; a flat line isn't blown up to noise. */
function rangeOf(low, high, channel) {
  if (low === null || high === null) return channel === "humidity" ? [40, 60] : [15, 25];
  const spread = Math.max(high - low, channel === "humidity" ? 4 : 1);
  const middle = (high + low) / 2;
  const range = [middle - spread * 0.6, middle + spread * 0.6];
  return channel === "humidity" ? [Math.max(0, range[0]), Math.min(100, range[1])] : range;
}

/** Stretches without values: hatched, with the cause where there is room for it. */
function drawGaps(u, gaps) {
  const { ctx } = u;
  const { left, top, width, height } = u.bbox;
  const ratio = devicePixelRatio;
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour("--hatch");
  ctx.lineWidth = ratio;
  for (const { fromMs, toMs, cause } of gaps) {
    const from = Math.max(left, u.valToPos(fromMs / 1_000, "x", true));
    const to = Math.min(left + width, u.valToPos(toMs / 1_000, "x", true));
    if (to <= from) continue;
    const room = Math.max(to - from, 2 * ratio);
    ctx.save();
    ctx.beginPath();
    ctx.rect(from, top, room, height);
    ctx.clip();
    ctx.beginPath();
    for (let x = from - height - ((from - height) % (7 * ratio)); x < from + room; x += 7 * ratio) {
      ctx.moveTo(x, top + height);
      ctx.lineTo(x + height, top);
    }
    ctx.stroke();
    ctx.restore();
    const text = absences[cause]?.label ?? cause;
    ctx.font = `600 ${11 * ratio}px ${colour("--sans")}`;
    const textWidth = ctx.measureText(text).width;
    const isUpright = textWidth + 16 * ratio <= room;
    if (!isUpright && room < 18 * ratio) continue;
    ctx.save();
    ctx.translate(from + room / 2, top + (isUpright ? 18 * ratio : 14 * ratio + textWidth / 2));
    if (!isUpright) ctx.rotate(-Math.PI / 2);
    ctx.fillStyle = colour("--surface");
    ctx.fillRect(-textWidth / 2 - 5 * ratio, -9 * ratio, textWidth + 10 * ratio, 18 * ratio);
    ctx.fillStyle = colour("--soft");
    ctx.textAlign = "center";
    ctx.textBaseline = "middle";
    ctx.fillText(text, 0, 0);
    ctx.restore();
  }
  ctx.restore();
}

/** A small diamond at the foot of every window that was revised after it had closed. */
function drawRevisions(u, { windows, x }) {
  const { ctx } = u;
  const ratio = devicePixelRatio;
  const y = u.bbox.top + u.bbox.height - 7 * ratio;
  ctx.save();
  ctx.fillStyle = colour("--odd");
  windows.forEach((window, index) => {
    if (window === null || !(window.revision > 0)) return;
    const centre = u.valToPos(x[index], "x", true);
    const r = 4 * ratio;
    if (centre < u.bbox.left || centre > u.bbox.left + u.bbox.width) return;
    ctx.beginPath();
    ctx.moveTo(centre, y - r);
    ctx.lineTo(centre + r, y);
    ctx.lineTo(centre, y + r);
    ctx.lineTo(centre - r, y);
    ctx.fill();
  });
  ctx.restore();
}

function readoutOf(shown, at, startMs, window, channel, unit) {
  if (at === null || startMs === null) return ["Point at the chart, or use the arrow keys"];
  const time = windowText(startMs, startMs + shown.sizeMs);
  if (window === null || window[`${channel}Mean`] === null) {
    return [`${time}: ${causeAt(shown, startMs, window)}`];
  }
  const state = window.closedBy === null
    ? ", still open"
    : window.revision > 0
    ? `, revised ${window.revision} ×`
    : "";
  return [
    `${time}: `,
    h("b", {}, `${number(window[`${channel}Mean`])} ${unit}`),
    ` (${number(window[`${channel}Min`])} to ${
      number(window[`${channel}Max`])
    }), ${window.readings} readings${state}`,
  ];
}

function causeAt(shown, startMs, window) {
  if (window !== null && window.readings > 0) return "no value of this kind";
  const gap = shown.data.gaps.find(({ fromMs, toMs }) => fromMs <= startMs && startMs < toMs);
  return gap === undefined ? "no reading" : `no reading, ${absences[gap.cause]?.label ?? gap.cause}`;
}

const spoken = (shown, at, window, channel, unit) =>
  readoutOf(shown, at, shown.data.starts[at], window, channel, unit).map((part) =>
    typeof part === "string" ? part : part.textContent
  ).join("");

function summaryOf(label, unit, data, channel) {
  const known = data[channel][0].filter((value) => value !== null);
  if (known.length === 0) return `${label}: no values in this span`;
  const lows = data[channel][1].filter((value) => value !== null);
  const highs = data[channel][2].filter((value) => value !== null);
  return `${label}: ${known.length} windows from ${number(Math.min(...lows))} to ${
    number(Math.max(...highs))
  } ${unit}, ${data.gaps.length} gaps. ` +
    "Arrow keys walk, Enter explains a window, plus and minus zoom.";
}
