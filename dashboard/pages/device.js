/** One device: its charts, how it is now, where its readings went, and its files to take away. */
import { get } from "./api.js";
import { createChart } from "./chart.js";
import { announce, h, replace, setText } from "./dom.js";
import {
  ago,
  count,
  daySeconds,
  dayTime,
  number,
  percent,
  sizeMs,
  sizeName,
  span,
  utcText,
  windowText,
  zoneName,
} from "./format.js";
import { icon } from "./icons.js";
import { openLive } from "./live.js";
import { stateMark } from "./overview.js";
import { chartData, counts, sizeFor, windowOfEvent, windowsByStart } from "./series.js";
import { reasons, stateOf } from "./states.js";
import { after, every, nowMs, oncePerFrame } from "./world.js";

export const title = "Device";

const HOUR = 3_600_000;
const spans = [["1h", HOUR], ["6h", 6 * HOUR], ["24h", 24 * HOUR], ["7d", 168 * HOUR], ["30d", 720 * HOUR], [
  "1y",
  8_760 * HOUR,
]];
const sizes = ["1m", "1h", "1d"];
const FACTS_MS = 5_000;

export async function show(main, { params, signal, about, setLive, go }) {
  const device = params.get("device") ?? "";
  const facts = await get("/api/device", { device }, signal).catch((error) => {
    if (error.status === 404) return null;
    throw error;
  });
  if (signal.aborted) return;
  if (facts === null) return showUnknown(main, device);
  document.title = `${facts.state.displayName} · Isotherm`;

  const view = viewOf(params, facts);
  const model = { windows: new Map(), absences: [], sizeLabel: "1m", data: null };
  const reading = { last: facts.last, facts };

  const nowLine = h("div", { class: "now" });
  const stateLine = h("div");
  const spanBar = h("div", { class: "segmented", role: "group", "aria-label": "Span" });
  const rangeText = h("p", { class: "quiet small" });
  const nowButton = h("button", {
    class: "button",
    onclick: () => move({ spanMs: view.spanMs, endMs: null }),
  }, "Follow");
  const tableHolder = h("div", { class: "scroll" });
  const table = h(
    "details",
    { class: "card", ontoggle: () => drawTable() },
    h("summary", {}, "These windows as a table"),
    tableHolder,
  );
  const factsHolder = h("div", { class: "stack" });
  const downloads = h("div", { class: "bar" });
  const events = {
    zoom: (fromMs, toMs) => fromMs === null ? move({ spanMs: 24 * HOUR, endMs: null }) : zoom(fromMs, toMs),
    pick: (startMs) =>
      go(`/explain?${new URLSearchParams({ device, size: model.sizeLabel, start: String(startMs) })}`),
  };
  const temperature = await createChart({
    channel: "temperature",
    label: "Temperature",
    unit: "°C",
    events,
    signal,
  });
  const humidity = await createChart({
    channel: "humidity",
    label: "Relative humidity",
    unit: "%",
    events,
    signal,
  });
  if (signal.aborted) return;

  replace(
    main,
    h(
      "nav",
      { class: "crumb", "aria-label": "Way back" },
      h("a", { href: "/" }, "Overview"),
      h("span", { "aria-hidden": "true" }, "/"),
      h("span", { class: "quiet" }, "Device"),
    ),
    h(
      "div",
      { class: "head" },
      h("div", {}, h("h1", { tabindex: -1 }, facts.state.displayName), stateLine),
      nowLine,
    ),
    h(
      "div",
      { class: "bar head" },
      spanBar,
      h(
        "div",
        { class: "bar" },
        h("button", { class: "button", "aria-label": "Earlier", onclick: () => shift(-1) }, icon("back")),
        h("button", { class: "button", "aria-label": "Later", onclick: () => shift(1) }, icon("forth")),
        nowButton,
      ),
      rangeText,
    ),
    h(
      "div",
      { class: "stack" },
      temperature.element,
      humidity.element,
      legend(),
      table,
      downloads,
      factsHolder,
    ),
  );

  const draw = () => {
    if (signal.aborted) return;
    const { fromMs, toMs } = boundsOf(view);
    const size = sizeMs(model.sizeLabel);
    model.data = chartData(model.windows, model.absences, size);
    temperature.show(model.data, fromMs, toMs, size);
    humidity.show(model.data, fromMs, toMs, size);
    setText(
      rangeText,
      `${windowText(fromMs, fromMs + size).split(" – ")[0]} to ${
        view.endMs === null ? "now" : dayTime(toMs)
      } (${zoneName()}), ${sizeName(model.sizeLabel)}`,
    );
    nowButton.setAttribute("aria-pressed", String(view.endMs === null));
    for (const button of spanBar.children) {
      button.setAttribute("aria-pressed", String(Number(button.value) === view.spanMs));
    }
    drawDownloads(downloads, device, model.sizeLabel, fromMs, toMs, about);
    if (table.open) drawTable();
  };
  const soon = oncePerFrame(draw);
  const drawTable = () =>
    table.open && model.data !== null &&
    replace(tableHolder, windowTable(model.data, device, model.sizeLabel));
  const drawNow = () => {
    const { state, quarantined } = reading.facts;
    const time = nowMs();
    const refusedMs = Math.max(reading.refusedMs ?? 0, quarantined[0]?.atMs ?? 0);
    const key = stateOf({
      ...state,
      newestReadings: reading.isFault ? 0 : 1,
      newestFaults: reading.isFault ? 1 : 0,
      quarantinedRecently: refusedMs > 0 ? 1 : 0,
      quarantinedAtMs: refusedMs > 0 ? refusedMs : null,
    }, time);
    replace(
      stateLine,
      h(
        "p",
        { class: "bar small quiet" },
        stateMark(key),
        h("span", { title: utcText(state.lastHeardMs) }, `heard ${ago(state.lastHeardMs, time)}`),
        state.everyMs && h("span", {}, `every ${span(state.everyMs)}`),
        state.sharedName && h("span", { class: "warn" }, "two boards use this name"),
      ),
    );
    const last = reading.last;
    replace(
      nowLine,
      h("span", { class: "numeral t" }, number(last?.temperatureC), h("span", { class: "unit" }, "°C")),
      h("span", { class: "numeral rh" }, number(last?.humidityPct), h("span", { class: "unit" }, "%")),
      h(
        "span",
        { class: "quiet small", title: utcText(last?.atMs) },
        last === null ? "no value yet" : `measured ${ago(last.atMs, time)}`,
      ),
    );
  };

  let loading = new AbortController();
  const load = async () => {
    loading.abort();
    loading = new AbortController();
    const mine = AbortSignal.any([loading.signal, signal]);
    const { fromMs, toMs } = boundsOf(view);
    const label = sizeFor(toMs - fromMs, sizes, sizeMs);
    const size = sizeMs(label);
    try {
      const answer = await get("/api/windows", {
        device,
        size: label,
        from: Math.floor(fromMs / size) * size,
        to: Math.ceil(toMs),
      }, mine);
      const windows = windowsByStart(answer);
      if (label === model.sizeLabel) {
        // What the stream has said counts for more than a file that lags behind.
        for (const [startMs, window] of model.windows) {
          if (startMs >= fromMs - size && counts(window, windows.get(startMs))) windows.set(startMs, window);
        }
      }
      model.sizeLabel = label;
      model.windows = windows;
      model.absences = answer.absences.filter(([startMs]) => !windows.has(startMs));
      draw();
    } catch (error) {
      if (error.name !== "AbortError") announce(error.message);
    }
  };
  const move = (next) => {
    Object.assign(view, next);
    const query = new URLSearchParams({
      device,
      span: String(view.spanMs),
      ...view.endMs === null ? {} : { end: String(Math.round(view.endMs)) },
    });
    go(`/device?${query}`, { replaced: true, quiet: true });
    load();
  };
  const zoom = (fromMs, toMs) => {
    const spanMs = Math.max(10 * 60_000, Math.round(toMs - fromMs));
    move({ spanMs, endMs: toMs >= nowMs() ? null : toMs });
  };
  const shift = (direction) => {
    const endMs = (view.endMs ?? nowMs()) + direction * view.spanMs / 2;
    move({ endMs: endMs >= nowMs() ? null : endMs });
  };
  replace(
    spanBar,
    spans.map(([label, ms]) =>
      h("button", { class: "button", value: String(ms), onclick: () => move({ spanMs: ms }) }, label)
    ),
  );

  const reloadFacts = async () => {
    const next = await get("/api/device", { device }, signal).catch(() => null);
    if (next === null || signal.aborted) return;
    const old = reading.facts.state;
    reading.facts = next;
    if (old.lastHeardMs > next.state.lastHeardMs) next.state = old;
    if (next.last !== null && (reading.last === null || next.last.atMs >= reading.last.atMs)) {
      reading.last = next.last;
    }
    drawFacts(factsHolder, next);
    drawNow();
  };
  drawFacts(factsHolder, facts);
  drawNow();
  await load();
  every(1_000, drawNow, signal);
  every(FACTS_MS, reloadFacts, signal);
  every(30_000, () => view.endMs === null && load(), signal);

  if (!about.hasLive) return setLive("files");
  openLive({ device }, {
    state: setLive,
    reset: () => load(),
    window: (event) => {
      if (event.device !== device || event.window_size !== model.sizeLabel) return;
      const window = windowOfEvent(event);
      if (!counts(window, model.windows.get(window.startMs))) return;
      model.windows.set(window.startMs, window);
      model.absences = model.absences.filter(([startMs]) => startMs !== window.startMs);
      soon();
    },
    device: (event) => {
      if (event.device !== device) return;
      const { state } = reading.facts;
      const heardMs = Date.parse(event.last_heard);
      if (reading.quarantined !== undefined && event.quarantined > reading.quarantined) {
        reading.refusedMs = heardMs;
      }
      reading.quarantined = event.quarantined;
      Object.assign(state, {
        lastHeardMs: heardMs,
        everyMs: event.every_ms,
        retired: event.retired,
        sharedName: event.shared_name,
      });
      const last = event.last_reading;
      if (last !== null) {
        reading.isFault = last.fault !== null;
        state.valueMs = Math.max(state.valueMs ?? 0, Date.parse(last.ts));
        if (!reading.isFault) {
          reading.last = {
            atMs: Date.parse(last.ts),
            temperatureC: last.temperature_c,
            humidityPct: last.humidity_pct,
          };
        }
      }
      drawNow();
    },
  }, signal);
  after(0, soon);
}

function showUnknown(main, device) {
  replace(
    main,
    h("h1", { tabindex: -1 }, device === "" ? "Which device?" : device),
    h(
      "p",
      { class: "notice" },
      "No reading of this device is in the files. They are a few seconds behind the log.",
    ),
    h("a", { href: "/" }, "All devices"),
  );
}

/** `endMs` null follows the present. */
function viewOf(params, { extent }) {
  const spanMs = Number(params.get("span"));
  const endMs = Number(params.get("end"));
  const time = nowMs();
  const ageMs = time - (extent?.fromMs ?? time);
  const fitting = spans.slice(0, 3).find(([, ms]) => 1.1 * ms >= ageMs)?.[1] ?? 24 * HOUR;
  // A device that stopped long ago is shown where it stopped.
  const isOld = extent?.toMs !== undefined && extent.toMs !== null && time - extent.toMs > 24 * HOUR;
  return {
    spanMs: spanMs >= 60_000 ? spanMs : fitting,
    endMs: endMs > 0 ? endMs : isOld && spanMs === 0 ? extent.toMs : null,
  };
}

function boundsOf({ spanMs, endMs }) {
  const toMs = endMs ?? nowMs();
  return { fromMs: toMs - spanMs, toMs };
}

function legend() {
  return h(
    "p",
    { class: "key" },
    h(
      "span",
      {},
      h("i", { class: "swatch band-t" }),
      h("i", { class: "swatch band-h" }),
      "mean, with lowest to highest",
    ),
    h("span", {}, h("i", { class: "swatch gap" }), "no reading, with the cause"),
    h("span", { class: "odd" }, "◆", h("span", { class: "quiet" }, "revised by late readings")),
    h("span", {}, "Drag to zoom, double-click for a day, click to explain a window."),
  );
}

function windowTable({ windows, starts }, device, size) {
  const rows = starts.map((startMs, index) => [startMs, windows[index]]).reverse().slice(0, 300);
  return h(
    "table",
    {},
    h("caption", { class: "unseen" }, "Windows, newest first"),
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        ["Window", "Readings", "°C mean", "°C lowest", "°C highest", "% mean", "State"].map((text, i) =>
          h("th", { scope: "col", class: i > 0 && i < 6 ? "number" : "" }, text)
        ),
      ),
    ),
    h(
      "tbody",
      {},
      rows.map(([startMs, w]) =>
        h(
          "tr",
          {},
          h(
            "td",
            {},
            h(
              "a",
              { href: `/explain?${new URLSearchParams({ device, size, start: String(startMs) })}` },
              `${dayTime(startMs)}`,
            ),
          ),
          h("td", { class: "number" }, count(w?.readings ?? 0)),
          [w?.temperatureMean, w?.temperatureMin, w?.temperatureMax, w?.humidityMean].map((value) =>
            h("td", { class: "number" }, number(value))
          ),
          h(
            "td",
            {},
            w === null
              ? "no reading"
              : w.closedBy === null
              ? "open"
              : w.revision > 0
              ? `closed, revised ${w.revision} ×`
              : "closed",
          ),
        )
      ),
    ),
  );
}

function drawDownloads(element, device, size, fromMs, toMs, about) {
  if (!about.hasSql) return replace(element);
  const link = (what, format, text) => {
    const query = new URLSearchParams({
      device,
      size,
      from: String(Math.floor(fromMs)),
      to: String(Math.ceil(toMs)),
      what,
      format,
    });
    return h("a", { class: "button", href: `/download?${query}`, download: "" }, text);
  };
  replace(
    element,
    h("span", { class: "quiet" }, "Take this span away:"),
    link("windows", "csv", "Windows, CSV"),
    link("windows", "parquet", "Windows, Parquet"),
    link("readings", "csv", "Readings, CSV"),
    link("readings", "parquet", "Readings, Parquet"),
  );
}

const slotStates = [
  ["counted", "counted"],
  ["countedLate", "counted late"],
  ["sensorFault", "sensor fault"],
  ["quarantined", "quarantined"],
  ["lost", "given up"],
  ["missing", "missing"],
];

function drawFacts(element, { state, slots, arrivals, faults, quarantined }) {
  const sums = Object.fromEntries(
    ["slots", ...slotStates.map(([key]) => key)].map((key) => [
      key,
      slots.reduce((sum, row) => sum + row[key], 0),
    ]),
  );
  replace(
    element,
    sums.slots > 0 && balanceCard(sums, slots),
    h(
      "div",
      { class: "columns" },
      stateCard(state, arrivals, slots),
      listCard(
        "Last sensor faults",
        "None. Every slot had a value.",
        faults.map(({ atMs, cause }) => [atMs, cause.replaceAll("_", " ")]),
      ),
      listCard(
        "Last quarantined readings",
        "None. Everything that arrived was counted.",
        quarantined.map((
          q,
        ) => [
          q.atMs,
          h(
            "span",
            {},
            reasons[q.reason] ?? q.reason,
            q.released ? " (released)" : "",
            h("br"),
            h("span", { class: "quiet" }, q.detail),
          ),
        ]),
      ),
    ),
  );
}

function balanceCard(sums, slots) {
  const parts = slotStates.filter(([key]) => sums[key] > 0);
  const good = sums.counted + sums.countedLate;
  return h(
    "section",
    { class: "card", "aria-label": "Where its readings went" },
    h("h2", {}, "Where its readings went"),
    h(
      "div",
      { class: "balance", "aria-hidden": "true" },
      parts.map(([key]) => h("span", { class: `slot-${key}`, style: { flex: `${sums[key]} 1 0` } })),
    ),
    h(
      "dl",
      { class: "balance-keys" },
      slotStates.map(([key, label]) =>
        h(
          "div",
          {},
          h("dt", {}, h("i", { class: `swatch slot-${key}` }), label),
          h("dd", {}, count(sums[key])),
        )
      ),
    ),
    h(
      "p",
      { class: "quiet small" },
      `${count(sums.slots)} sampling slots in ${count(slots.length)} ${
        slots.length === 1 ? "boot" : "boots"
      }, ${
        percent(Math.floor(1_000 * good / sums.slots) / 10)
      } counted. The parts add up: no slot is without a state.`,
    ),
  );
}

function stateCard(state, arrivals, slots) {
  const time = (ms) =>
    ms === null || ms === undefined ? "–" : h("span", { title: utcText(ms) }, `${daySeconds(ms)}`);
  const rows = [
    ["Name as sent", state.device],
    ["First heard", time(state.firstHeardMs)],
    ["Last heard", time(state.lastHeardMs)],
    ["Newest value of", time(state.valueMs)],
    ["Complete up to", time(state.watermarkMs)],
    ["Backlog since", state.pendingSinceMs === null ? "no backlog" : time(state.pendingSinceMs)],
    ["Boot", state.boot ?? "not numbered"],
    ["Boots", count(slots.length)],
    [
      "Readings in the log",
      arrivals === undefined
        ? "–"
        : `${count(arrivals.arrivals)}, of which ${count(arrivals.duplicates)} duplicates`,
    ],
  ];
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Device"),
    h("dl", { class: "facts" }, rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)])),
  );
}

function listCard(heading, none, entries) {
  return h(
    "section",
    { class: "card" },
    h("h2", {}, heading),
    entries.length === 0 ? h("p", { class: "quiet" }, none) : h(
      "ul",
      { class: "list" },
      entries.slice(0, 8).map(([atMs, what]) =>
        h(
          "li",
          {},
          h("span", { class: "quiet", title: utcText(atMs) }, `${dayTime(atMs)}`),
          h("span", {}, what),
        )
      ),
    ),
  );
}
