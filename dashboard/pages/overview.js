/**
 * Every device at a glance. Few devices are tiles, to be read from across the room; many are a table of which only the
 * rows in sight exist, so ten thousand cost no more than thirty.
 *
 * The files give the first picture and the trends; the live stream moves values on. Between two paintings any number of
 * events is one change.
 */
import { get } from "./api.js";
import { announce, h, replace, setText } from "./dom.js";
import { createFleet, trendValues } from "./fleet.js";
import { ago, count, number, percent, plural, utcText } from "./format.js";
import { icon } from "./icons.js";
import { openLive } from "./live.js";
import { spark } from "./spark.js";
import { completenessOf, states } from "./states.js";
import { every, nowMs, oncePerFrame, pause } from "./world.js";

export const title = "Overview";

const TILES_MAX = 12;
const REFRESH_MS = 10_000;
const LARGE_REFRESH_MS = 60_000;
const LARGE = 1_000;
/** Devices in one answer: reading it takes some milliseconds. */
const PAGE = 500;
const BEAT_MS = 500;
/** Of a large fleet, so many are looked at in a beat, and the order is made anew so often. */
const SWEEP = 1_500;
const REORDER_MS = 5_000;

const columns = [
  { key: "state", label: "State", width: "148px", by: (d) => Object.keys(states).indexOf(d.state) },
  { key: "device", label: "Device", width: "auto", by: null },
  {
    key: "temperature",
    label: "Temperature",
    width: "118px",
    number: true,
    by: (d) => d.temperatureC ?? -Infinity,
  },
  { key: "humidity", label: "Humidity", width: "100px", number: true, by: (d) => d.humidityPct ?? -Infinity },
  { key: "trend", label: "Trend", width: "200px" },
  { key: "heard", label: "Last heard", width: "126px", number: true, by: (d) => -(d.lastHeardMs ?? 0) },
  {
    key: "complete",
    label: "Complete, 24 h",
    width: "170px",
    number: true,
    by: (d) => completenessOf(d) ?? 2,
  },
  { key: "faults", label: "Faults, 24 h", width: "116px", number: true, by: (d) => -(d.faults ?? 0) },
];

export async function show(main, { params, signal, about, setLive, go }) {
  const fleet = createFleet();
  const chosen = {
    sort: params.get("sort") ?? "device",
    descending: params.get("order") === "down",
    state: params.get("state"),
    text: params.get("q") ?? "",
    view: params.get("view"),
  };
  const remember = () => {
    const query = new URLSearchParams();
    if (chosen.sort !== "device") query.set("sort", chosen.sort);
    if (chosen.descending) query.set("order", "down");
    for (const [key, value] of [["state", chosen.state], ["q", chosen.text], ["view", chosen.view]]) {
      if (value) query.set(key, value);
    }
    const text = query.toString();
    go(text === "" ? "/" : `/?${text}`, { replaced: true, quiet: true });
  };

  const sentence = h("p", { class: "quiet" });
  const chips = h("div", { class: "chips", role: "group", "aria-label": "Show only" });
  const search = h("input", {
    class: "field search",
    type: "search",
    placeholder: "Find a device",
    "aria-label": "Find a device",
    value: chosen.text,
    oninput: () => {
      chosen.text = search.value;
      redraw();
    },
  });
  const viewButtons = h("div", { class: "segmented", role: "group", "aria-label": "Layout" });
  const body = h("div");
  replace(
    main,
    h("div", { class: "head" }, h("div", {}, h("h1", { tabindex: -1 }, "Overview"), sentence)),
    h("div", { class: "bar head" }, chips, search, viewButtons),
    body,
  );

  /** After somebody has chosen something. */
  const redraw = () => {
    remember();
    reorder();
    draw();
  };
  const table = createTable({ chosen, changed: () => redraw(), signal });
  let shownAs = null;
  let order = [];
  let orderedMs = 0;
  let orderedSize = -1;

  /** Which devices are shown, and in which order: on demand, and now and then because values move. */
  const reorder = () => {
    const wanted = chosen.text.trim().toLowerCase();
    order = fleet.all.filter((d) =>
      (chosen.state === null || d.state === chosen.state) && (wanted === "" || d.search.includes(wanted))
    );
    sort(order, chosen);
    orderedMs = nowMs();
    orderedSize = fleet.all.length;
  };
  const draw = () => {
    if (signal.aborted) return;
    const size = fleet.all.length;
    if (size !== orderedSize || size <= LARGE || nowMs() - orderedMs > REORDER_MS) reorder();
    setText(sentence, sentenceOf(size, fleet.counts));
    drawChips(chips, fleet.counts, chosen, redraw);
    if (size === 0) {
      if (shownAs !== "empty") replace(body, emptyPage(about));
      shownAs = "empty";
      return;
    }
    const view = chosen.view ?? (size <= TILES_MAX ? "tiles" : "table");
    if (shownAs !== view) {
      drawViewButtons(viewButtons, view, (next) => {
        chosen.view = next;
        redraw();
      });
      replace(body, view === "table" ? table.element : h("div", { class: "tiles" }));
      shownAs = view;
    }
    if (view === "table") table.show(order, nowMs());
    else drawTiles(body.firstChild, order.slice(0, 200), nowMs());
  };
  const soon = oncePerFrame(draw);

  const load = async () => {
    try {
      for (let from = 0;; from += PAGE) {
        const page = await get("/api/fleet", { from, count: PAGE }, signal);
        if (page === null) return draw();
        fleet.load(page, nowMs());
        if (from === 0 || page.total <= LARGE) draw();
        if (from + PAGE >= page.total) return draw();
        await pause(0); // whoever scrolls or types goes first
      }
    } catch (error) {
      if (!signal.aborted && fleet.all.length === 0) {
        replace(body, h("p", { class: "notice is-bad", role: "alert" }, error.message));
      }
    }
  };
  await load();
  if (signal.aborted) return;
  let loadedMs = nowMs();
  every(BEAT_MS, () => {
    fleet.sweep(SWEEP, nowMs());
    if (nowMs() - loadedMs > (fleet.all.length > LARGE ? LARGE_REFRESH_MS : REFRESH_MS)) {
      loadedMs = nowMs();
      load();
    }
    soon();
  }, signal);
  addEventListener("scroll", () => table.moved(), { passive: true, signal });
  addEventListener("resize", soon, { signal });

  if (!about.hasLive) return setLive("files");
  openLive({ windows: "none" }, {
    state: setLive,
    device: (event) => {
      fleet.apply(event, nowMs());
      // Few devices show every change at once; many wait for the next beat.
      if (fleet.all.length <= TILES_MAX) soon();
    },
  }, signal);
}

function sort(devices, { sort: wanted, descending }) {
  const by = columns.find((column) => column.key === wanted)?.by ?? null;
  const sign = descending ? -1 : 1;
  const compare = by === null
    ? (a, b) => sign * (a.rank - b.rank)
    : (a, b) => sign * (by(a) - by(b)) || a.rank - b.rank;
  devices.sort(compare);
}

function sentenceOf(size, counts) {
  if (size === 0) return "No device has been heard yet.";
  const asking = ["faulty", "silent", "quarantined"].reduce(
    (sum, state) => sum + (counts.get(state) ?? 0),
    0,
  );
  const what = asking === 0
    ? "all in order"
    : `${asking === 1 ? "one asks" : `${count(asking)} ask`} for attention`;
  return `${plural(size, "device")}, ${what}.`;
}

function drawChips(chips, counts, chosen, changed) {
  const wanted = Object.keys(states).filter((key) => counts.get(key) > 0 || key === chosen.state);
  const signature = wanted.join();
  if (chips.dataset.signature !== signature) {
    chips.dataset.signature = signature;
    replace(
      chips,
      wanted.map((key) => {
        const { label, glyph, tone, about } = states[key];
        return h(
          "button",
          {
            class: "button chip",
            title: about,
            "data-state": key,
            onclick: () => {
              chosen.state = chosen.state === key ? null : key;
              changed();
            },
          },
          icon(glyph, tone),
          h("span", {}, label),
          h("b"),
        );
      }),
    );
  }
  for (const chip of chips.children) {
    const key = chip.dataset.state;
    chip.setAttribute("aria-pressed", String(chosen.state === key));
    setText(chip.lastChild, count(counts.get(key) ?? 0));
  }
}

function drawViewButtons(element, view, choose) {
  replace(
    element,
    [["tiles", "Tiles"], ["table", "Table"]].map(([key, label]) =>
      h(
        "button",
        { class: "button", "aria-pressed": String(view === key), onclick: () => choose(key) },
        label,
      )
    ),
  );
}

/** Glyph and word of a state. */
export function stateMark(key) {
  const { glyph, tone, label, about } = states[key];
  return h("span", { class: `state ${tone}`, title: about }, icon(glyph), label);
}

const deviceHref = (device) => `/device?device=${encodeURIComponent(device)}`;
const isOld = (state) => state === "silent" || state === "faulty" || state === "stale" || state === "retired";

function drawTiles(element, devices, time) {
  const kept = new Map([...element.children].map((tile) => [tile.dataset.device, tile]));
  devices.forEach((device, index) => {
    const tile = kept.get(device.device) ?? createTile(device);
    kept.delete(device.device);
    tile.update(device, time);
    if (element.children[index] !== tile) element.insertBefore(tile, element.children[index] ?? null);
  });
  for (const tile of kept.values()) tile.remove();
}

function createTile({ device }) {
  const name = h("h2", { class: "tile-name" });
  const state = h("span");
  const temperature = h("span");
  const humidity = h("span");
  const trend = h("div");
  const heard = h("span");
  const complete = h("span", { class: "nowrap" });
  const tile = h(
    "a",
    { class: "card tile", href: deviceHref(device) },
    h("div", { class: "tile-head" }, name, state),
    h(
      "div",
      { class: "numerals" },
      h("span", { class: "numeral" }, temperature, h("span", { class: "unit" }, "°C")),
      h("span", { class: "numeral second" }, humidity, h("span", { class: "unit" }, "%")),
    ),
    trend,
    h("div", { class: "tile-foot" }, heard, complete),
  );
  tile.dataset.device = device;
  let drawn = {};
  tile.update = (d, time) => {
    setText(name, d.displayName);
    if (drawn.state !== d.state) {
      replace(state, stateMark(d.state));
      tile.classList.toggle("is-old", isOld(d.state));
    }
    setText(temperature, number(d.temperatureC));
    setText(humidity, number(d.humidityPct));
    if (drawn.trendText !== d.trendText) replace(trend, spark(trendValues(d)));
    setText(heard, `Heard ${ago(d.lastHeardMs, time)}`);
    const share = completenessOf(d);
    setText(complete, share === null ? "" : `${completeText(share)} complete`);
    drawn = { state: d.state, trendText: d.trendText };
  };
  return tile;
}

/** 99.97 % is not 100 %. */
export function completeText(share) {
  if (share === 1) return "100 %";
  return percent(Math.floor(share * 1_000) / 10);
}

function createTable({ chosen, changed, signal }) {
  const narrow = matchMedia("(max-width: 820px)");
  const rowHeight = () => narrow.matches ? 64 : 46;
  const above = filler();
  const below = filler();
  const bodyElement = h("tbody");
  const heads = columns.map((column) =>
    h(
      "th",
      {
        scope: "col",
        class: column.number ? "number" : "",
        "aria-sort": "none",
        style: { width: column.width },
      },
      column.by === undefined ? column.label : h("button", {
        onclick: () => {
          chosen.descending = chosen.sort === column.key ? !chosen.descending : false;
          chosen.sort = column.key;
          changed();
          announce(`Sorted by ${column.label}, ${chosen.descending ? "descending" : "ascending"}`);
        },
      }, column.label),
    )
  );
  const table = h(
    "table",
    {},
    h("caption", { class: "unseen" }, "Devices"),
    h("thead", {}, h("tr", {}, heads)),
    bodyElement,
  );
  const nothing = h("p", { class: "quiet empty", hidden: true }, "No device matches.");
  const element = h("section", { class: "card fleet", "aria-label": "Devices" }, table, nothing);
  const pool = [];
  let devices = [];
  let time = 0;

  const draw = () => {
    const height = rowHeight();
    const topOffset = Math.max(0, -bodyElement.getBoundingClientRect().top);
    const first = Math.max(0, Math.min(devices.length, Math.floor(topOffset / height) - 8));
    const wanted = Math.min(devices.length - first, Math.ceil(innerHeight / height) + 16);
    while (pool.length < wanted) pool.push(createRow());
    const rows = pool.slice(0, wanted);
    if (bodyElement.childElementCount !== wanted + 2) replace(bodyElement, above.row, rows, below.row);
    above.set(first * height);
    below.set((devices.length - first - wanted) * height);
    rows.forEach((row, index) => row.update(devices[first + index], first + index, time));
  };
  const soon = oncePerFrame(() => {
    if (element.isConnected && !signal.aborted) draw();
  });
  return {
    element,
    show(next, now) {
      devices = next;
      time = now;
      nothing.hidden = devices.length > 0;
      table.setAttribute("aria-rowcount", String(devices.length + 1));
      columns.forEach((column, index) => {
        const sort = chosen.sort !== column.key ? "none" : chosen.descending ? "descending" : "ascending";
        if (column.by !== undefined) heads[index].setAttribute("aria-sort", sort);
        else heads[index].removeAttribute("aria-sort");
      });
      draw();
    },
    moved: soon,
  };
}

function filler() {
  const cell = h("td", { class: "filler", colspan: columns.length });
  const row = h("tr", { class: "filler-row", "aria-hidden": "true" }, cell);
  return {
    row,
    set(height) {
      row.hidden = height <= 0;
      cell.style.height = `${Math.max(0, height)}px`;
    },
  };
}

function createRow() {
  const cells = columns.map(({ key, number: isNumber }) =>
    h("td", { class: `c-${key}${isNumber ? " number" : ""}` })
  );
  const [state, device, temperature, humidity, trend, heard, complete, faults] = cells;
  const link = h("a", {});
  const bar = h("span");
  const meter = h("span", { class: "meter", "aria-hidden": "true" }, bar);
  const share = h("span");
  device.append(link);
  complete.append(meter, " ", share);
  const row = h("tr", { class: "device-row" }, cells);
  let drawn = {};
  row.update = (d, index, time) => {
    row.setAttribute("aria-rowindex", String(index + 2));
    if (drawn.device !== d.device) link.setAttribute("href", deviceHref(d.device));
    setText(link, d.displayName);
    if (drawn.state !== d.state) replace(state, stateMark(d.state));
    setText(temperature, d.temperatureC === null ? "–" : `${number(d.temperatureC)} °C`);
    setText(humidity, percent(d.humidityPct));
    if (drawn.device !== d.device || drawn.trendText !== d.trendText) replace(trend, spark(trendValues(d)));
    setText(heard, ago(d.lastHeardMs, time));
    if (drawn.lastHeardMs !== d.lastHeardMs) heard.title = utcText(d.lastHeardMs);
    const part = completenessOf(d);
    meter.hidden = part === null;
    meter.className = `meter ${part >= 0.98 ? "" : part >= 0.8 ? "warn" : "bad"}`;
    bar.style.width = `${Math.round((part ?? 0) * 100)}%`;
    setText(share, part === null ? "–" : completeText(part));
    setText(faults, count(d.faults));
    drawn = { device: d.device, state: d.state, trendText: d.trendText, lastHeardMs: d.lastHeardMs };
  };
  return row;
}

function emptyPage({ ingestUrl }) {
  const url = ingestUrl ?? "http://127.0.0.1:8086";
  return h(
    "div",
    { class: "card empty" },
    h("h2", {}, "Waiting for the first reading"),
    h("p", { class: "quiet" }, "It appears here within seconds. Send one yourself:"),
    h(
      "pre",
      { tabindex: 0 },
      `curl -d '{"device":"desk","temperature_c":21.5,"humidity_pct":40}' ${url}/v1/readings`,
    ),
  );
}
