/**
 * The bench: a simulated board with the project's own firmware, to be mistreated. What is done to it shows at once in
 * what the pipeline makes of it, and in what its neighbour does not notice.
 */
import { get, post } from "./api.js";
import { announce, h, replace, s, setText } from "./dom.js";
import { clockTime, count, number, plural, span } from "./format.js";
import { icon } from "./icons.js";
import { openLive } from "./live.js";
import { counts, windowOfEvent, windowsByStart } from "./series.js";
import { after, every, nowMs, oncePerFrame } from "./world.js";

export const title = "Bench";

const POLL_MS = 500;
const MINUTE = 60_000;
const CELLS = 24;
/** Slider moves become one request so often. */
const SLIDE_MS = 120;

export async function show(main, { params, signal, setLive, go }) {
  await loadElements();
  let state = await get("/api/bench", {}, signal);
  if (signal.aborted) return;
  if (state === null) throw new Error("There is no bench: it is part of deno task dev.");
  for (let tries = 0; state.boards.length === 0 && tries < 20; tries++) {
    await new Promise((resolve) => after(250, resolve));
    state = await get("/api/bench", {}, signal);
  }
  const names = state.boards.map(({ device }) => device);
  const device = names.includes(params.get("device")) ? params.get("device") : names[0];
  const neighbour = names[(names.indexOf(device) + 1) % names.length];
  const devices = [...new Set([device, neighbour])];
  const seen = new Map(devices.map((name) => [name, { windows: new Map(), readings: [], state: null }]));

  const act = async (action) => {
    try {
      state = await post("/api/bench", { device, ...action });
      draw();
    } catch (error) {
      announce(error.message);
    }
  };

  const board = createBoard();
  const story = h("p", { class: "answer", role: "status" });
  const air = createAir((temperatureC, humidityPct) => act({ kind: "air", temperatureC, humidityPct }));
  const tricks = createTricks(act);
  const serial = h("pre", {
    class: "serial mono",
    tabindex: 0,
    role: "log",
    "aria-live": "off",
    "aria-label": "Serial port",
  });
  const gauges = h("dl", { class: "gauges" });
  const lanes = h("div", { class: "stack" });
  const lines = h("div");

  replace(
    main,
    h(
      "div",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", { tabindex: -1 }, "Bench"),
        h(
          "p",
          { class: "quiet" },
          "A simulated ESP32 with a DHT22 that runs the project's own firmware. Mistreat it, and watch where its readings go.",
        ),
      ),
      names.length > 1 &&
        h(
          "label",
          { class: "bar small quiet" },
          "Board",
          h(
            "select",
            { onchange: (event) => go(`/bench?device=${encodeURIComponent(event.target.value)}`) },
            names.slice(0, 100).map((name) => h("option", { value: name, selected: name === device }, name)),
          ),
        ),
    ),
    h(
      "div",
      { class: "bench" },
      h(
        "div",
        { class: "stack" },
        h("section", { class: "card", "aria-label": `The board ${device}` }, board.element, air.element),
        h("section", { class: "card", "aria-label": "Tricks" }, tricks.element),
      ),
      h(
        "div",
        { class: "stack" },
        h("section", { class: "card" }, story),
        h("section", { class: "card", "aria-label": `Where the readings of ${device} are` }, gauges),
        h(
          "section",
          { class: "card" },
          h("h2", {}, "Minute by minute"),
          lanes,
          h(
            "p",
            { class: "key" },
            h("span", {}, "each cell is a minute, filled as its readings arrive"),
            h("span", {}, "dashed: still open"),
            h("span", {}, "striped: came late"),
            h("span", { class: "bad" }, "red: sensor fault"),
          ),
        ),
        h("section", { class: "card" }, h("h2", {}, "Temperature as the rows have it"), lines),
        h("details", { class: "card", open: true }, h("summary", {}, "Serial port"), serial),
      ),
    ),
  );

  const draw = () => {
    const mine = state.boards.find((one) => one.device === device);
    if (mine === undefined || signal.aborted) return;
    board.draw(mine);
    air.draw(mine);
    tricks.draw(mine);
    const known = seen.get(device);
    const told = storyOf(mine, known, neighbour === device ? null : neighbour, nowMs());
    setText(story, told);
    drawGauges(gauges, mine, known.state);
    drawLanes(lanes, devices, seen, go);
    drawLines(lines, devices, seen);
    const text = mine.lines.join("\n");
    if (serial.textContent !== text) {
      serial.textContent = text;
      serial.scrollTop = serial.scrollHeight;
    }
  };
  const soon = oncePerFrame(draw);

  draw();
  const fromMs = Math.floor(nowMs() / MINUTE) * MINUTE - (CELLS + 5) * MINUTE;
  for (const name of devices) {
    const answer = await get("/api/windows", {
      device: name,
      size: "1m",
      from: fromMs,
      to: fromMs + 86_400_000,
    }, signal);
    const known = seen.get(name);
    known.windows = windowsByStart(answer);
    for (const window of known.windows.values()) {
      if (window.temperatureMean !== null) {
        known.readings.push([window.startMs + MINUTE / 2, window.temperatureMean]);
      }
    }
  }
  draw();
  every(POLL_MS, async () => {
    try {
      state = await get("/api/bench", {}, signal);
      soon();
    } catch {
      // The live mark tells it.
    }
  }, signal);

  const query = new URLSearchParams([["window_size", "1m"], ...devices.map((name) => ["device", name])]);
  openLive(query, {
    state: setLive,
    window: (event) => {
      const known = seen.get(event.device);
      if (known === undefined || event.window_size !== "1m") return;
      const window = windowOfEvent(event);
      if (counts(window, known.windows.get(window.startMs))) known.windows.set(window.startMs, window);
      soon();
    },
    device: (event) => {
      const known = seen.get(event.device);
      if (known === undefined) return;
      known.state = event;
      const last = event.last_reading;
      const atMs = last === null ? 0 : Date.parse(last.ts);
      if (last !== null && last.temperature_c !== null && atMs > (known.readings.at(-1)?.[0] ?? 0)) {
        known.readings.push([atMs, last.temperature_c]);
      }
      if (known.readings.length > 2_000) known.readings.splice(0, 1_000);
      soon();
    },
  }, signal);
}

let loading = null;
/** Wokwi's elements, when the bench is first opened. */
function loadElements() {
  loading ??= new Promise((resolve, reject) => {
    document.head.append(
      h("script", {
        src: "/vendor/wokwi.js",
        onload: resolve,
        onerror: () => reject(new Error("The board's picture can't be loaded.")),
      }),
    );
  });
  return loading;
}

function createBoard() {
  const esp = document.createElement("wokwi-esp32-devkit-v1");
  const dht = document.createElement("wokwi-dht22");
  const wifi = h("span", { class: "wifi-mark state" });
  const wire = (d, colour) =>
    s("path", { d, fill: "none", stroke: colour, "stroke-width": 3, "stroke-linecap": "round" });
  const wires = s(
    "svg",
    { class: "wires", viewBox: "0 0 300 270", "aria-hidden": "true" },
    wire("M228 134C228 232 160 226 118 189", "#d64531"),
    wire("M237.500 134C238 214 176 190 118 170", "#2f9e63"),
    wire("M257 134C258 262 168 246 118 180", "#4a4d55"),
  );
  const holder = h("div", { class: "breadboard" }, wires, esp, dht, wifi);
  const stage = h("div", { class: "stage", role: "img", "aria-label": "ESP32 and DHT22" }, holder);
  return {
    element: stage,
    draw(board) {
      esp.ledPower = board.isPowered;
      esp.led1 = board.led;
      holder.classList.toggle("off", !board.isPowered);
      holder.classList.toggle("unplugged", !board.hasSensor);
      const [tone, glyph, text] = !board.isPowered
        ? ["calm", "line", "No power"]
        : board.isLinked
        ? ["good", "dot", "Wi-Fi"]
        : ["bad", "slash", board.hasWiFi ? "Joining …" : "No Wi-Fi"];
      wifi.className = `wifi-mark state ${tone}`;
      if (wifi.dataset.text !== text) replace(wifi, icon(glyph), text);
      wifi.dataset.text = text;
      stage.setAttribute(
        "aria-label",
        `ESP32 ${board.isPowered ? "with power" : "without power"}, DHT22 ${
          board.hasSensor ? "wired to it" : "unplugged"
        }, ${text}`,
      );
    },
  };
}

/** Sliders for the air at the sensor; untouched, the simulated weather goes on. */
function createAir(held) {
  let cancel = () => {};
  let touchedMs = 0;
  const slide = () => {
    touchedMs = nowMs();
    cancel();
    cancel = after(SLIDE_MS, () => held(Number(temperature.input.value), Number(humidity.input.value)));
    show();
  };
  const slider = (label, unit, min, max) => {
    const input = h("input", { type: "range", min, max, step: 0.1, "aria-label": label, oninput: slide });
    const output = h("output", {});
    return { input, output, unit, row: h("label", { class: "slider" }, h("span", {}, label), input, output) };
  };
  const temperature = slider("Temperature", "°C", -40, 80);
  const humidity = slider("Humidity", "%", 0, 100);
  const free = h("button", { class: "button", onclick: () => held(null, null) }, "Let the weather go on");
  const show = () => {
    for (const { input, output, unit } of [temperature, humidity]) {
      const text = `${number(Number(input.value))} ${unit}`;
      setText(output, text);
      input.setAttribute("aria-valuetext", text);
    }
  };
  return {
    element: h("div", { class: "stack air" }, h("div", {}, temperature.row, humidity.row), free),
    draw(board) {
      free.disabled = !board.isHeld;
      if (nowMs() - touchedMs < 1_500) return;
      temperature.input.value = board.temperatureC;
      humidity.input.value = board.humidityPct;
      show();
    },
  };
}

function createTricks(act) {
  const trick = (kind, on, off, isOn) => {
    const button = h("button", {
      class: "button",
      onclick: () => act({ kind, on: button.dataset.next === "true" }),
    });
    return {
      button,
      draw(board) {
        const isDone = isOn(board);
        setText(button, isDone ? off : on);
        button.setAttribute("aria-pressed", String(isDone));
        // `on` of an action is the healthy state, but for the clock.
        button.dataset.next = String(kind === "clock" ? !isDone : isDone);
      },
    };
  };
  const all = [
    trick("sensor", "Unplug the sensor", "Plug the sensor in", (board) => !board.hasSensor),
    trick("wifi", "Wi-Fi off", "Wi-Fi on", (board) => !board.hasWiFi),
    trick("power", "Cut the power", "Power on", (board) => !board.isPowered),
    trick("clock", "Clock a year ahead", "Clock right again", (board) => board.clockAheadMs > 0),
  ];
  return {
    element: h("div", { class: "tricks" }, all.map(({ button }) => button)),
    draw: (board) => all.forEach((one) => one.draw(board)),
  };
}

/** What is going on, in a sentence or two. Pure. */
export function storyOf(board, { windows, state }, neighbour, time) {
  const untouched = neighbour === null ? "" : ` ${neighbour} notices nothing.`;
  const backlog = board.backlog ?? 0;
  if (!board.isPowered) {
    return `No power, so no readings are taken. What the flash holds stays there: ${
      plural(backlog, "reading")
    } not yet acknowledged.${untouched}`;
  }
  if (board.clockAheadMs > 0) {
    return `Its time server is a year ahead. Such readings are quarantined as coming from the future${
      state === null ? "" : `, ${count(state.quarantined)} so far`
    }: they move no watermark and touch no other row.${untouched}`;
  }
  if (!board.hasWiFi) {
    return `No Wi-Fi. The board goes on measuring every few seconds and keeps it all in flash: ${
      plural(backlog, "reading")
    } so far. Nothing is lost.${untouched}`;
  }
  if (!board.hasSensor) {
    return `The sensor is unplugged. Each slot is sent all the same, with the cause, and counts as a sensor fault: a gap that explains itself.${untouched}`;
  }
  const lately =
    [...windows.values()].filter((window) => window.late > 0 && time - window.startMs < 15 * MINUTE).length;
  if (backlog > 3) {
    return `Back again: the backlog of ${
      plural(backlog, "reading")
    } drains, oldest minutes fill in.${untouched}`;
  }
  if (lately > 0) {
    return `All is well again. Readings that came late have revised ${
      plural(lately, "minute")
    }; each counts once.`;
  }
  return "All is well: it measures, sends, and frees its flash when the log has acknowledged.";
}

function drawGauges(element, board, state) {
  const lost = state === null ? null : state;
  const entries = [
    ["On the board", board.backlog === null ? "–" : count(board.backlog)],
    ["Counted", lost === null ? "–" : count(lost.counted)],
    ["Counted late", lost === null ? "–" : count(lost.counted_late)],
    ["Sensor faults", lost === null ? "–" : count(lost.sensor_fault)],
    ["Quarantined", lost === null ? "–" : count(lost.quarantined)],
    ["Boots", count(board.boots)],
  ];
  if (element.childElementCount !== entries.length) {
    replace(
      element,
      entries.map(([name]) => h("div", {}, h("dt", {}, name), h("dd", {}))),
    );
  }
  entries.forEach(([, value], index) => setText(element.children[index].lastChild, value));
}

function drawLanes(element, devices, seen, go) {
  const endMs = Math.floor(nowMs() / MINUTE) * MINUTE;
  const starts = Array.from({ length: CELLS }, (_, index) => endMs - (CELLS - 1 - index) * MINUTE);
  if (element.childElementCount !== devices.length) {
    replace(
      element,
      devices.map((device) =>
        h(
          "div",
          {},
          h("p", { class: "small quiet" }, device),
          h(
            "div",
            { class: "cells" },
            starts.map(() =>
              h("button", {
                class: "cell",
                onclick: (event) =>
                  go(
                    `/explain?${new URLSearchParams({
                      device,
                      size: "1m",
                      start: event.currentTarget.dataset.start,
                    })}`,
                  ),
              }, h("span"))
            ),
          ),
        )
      ),
    );
  }
  devices.forEach((device, lane) => {
    const cells = element.children[lane].lastChild.children;
    starts.forEach((startMs, index) =>
      drawCell(cells[index], startMs, seen.get(device).windows.get(startMs))
    );
  });
}

function drawCell(cell, startMs, window) {
  const arrived = (window?.readings ?? 0) + (window?.faults ?? 0);
  const expected = Math.max(1, window?.expected ?? 12);
  const part = Math.min(1, arrived / expected);
  const isOpen = window === undefined || window.closedBy === null;
  const isFaulty = (window?.faults ?? 0) > 0;
  const isLate = (window?.late ?? 0) > 0;
  const text = `${clockTime(startMs)}: ${arrived} of ${expected}${isOpen ? ", open" : ", closed"}${
    isLate ? `, ${window.late} late` : ""
  }${isFaulty ? `, ${window.faults} sensor faults` : ""}`;
  if (cell.title === text) return;
  cell.dataset.start = String(startMs);
  cell.title = text;
  cell.setAttribute("aria-label", text);
  cell.className = `cell${isOpen ? " open" : ""}${isFaulty ? " faulty" : ""}${isLate ? " late" : ""}`;
  cell.firstChild.style.height = `${Math.round(part * 100)}%`;
}

function drawLines(element, devices, seen) {
  const WIDTH = 720;
  const HEIGHT = 150;
  const toMs = nowMs();
  const fromMs = toMs - CELLS * MINUTE;
  const shown = devices.map((device) =>
    seen.get(device).readings.filter(([atMs]) => atMs >= fromMs && atMs <= toMs + MINUTE)
  );
  const values = shown.flat().map(([, value]) => value);
  if (values.length === 0) return replace(element, h("p", { class: "quiet" }, "Nothing yet."));
  const low = Math.min(...values);
  const spread = Math.max(Math.max(...values) - low, 1);
  const x = (ms) => (ms - fromMs) / (toMs - fromMs) * WIDTH;
  const y = (value) => HEIGHT - 12 - (value - low) / spread * (HEIGHT - 24);
  const paths = shown.map((readings, index) => {
    let before = null;
    let d = "";
    for (const [atMs, value] of readings) {
      // More than two minutes apart is a gap.
      d += `${before === null || atMs - before > 2 * MINUTE ? "M" : "L"}${x(atMs).toFixed(1)} ${
        y(value).toFixed(1)
      }`;
      before = atMs;
    }
    return s("path", {
      d,
      fill: "none",
      stroke: index === 0 ? "var(--temperature)" : "var(--soft)",
      "stroke-width": index === 0 ? 2 : 1.6,
      "stroke-dasharray": index === 0 ? null : "5 4",
      "stroke-linejoin": "round",
    });
  });
  replace(
    element,
    s(
      "svg",
      {
        class: "strip",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `Temperatures of ${devices.join(" and ")} over the last ${span(CELLS * MINUTE)}, ${
          number(low)
        } to ${number(low + spread)} °C`,
      },
      s("path", { d: `M0 ${HEIGHT - 12}H${WIDTH}M0 12H${WIDTH}`, stroke: "var(--line)" }),
      paths,
    ),
    h(
      "p",
      { class: "key" },
      h("span", { class: "t" }, `— ${devices[0]}`),
      devices[1] && h("span", {}, `- - ${devices[1]}`),
      h("span", {}, `${number(low)} to ${number(low + spread)} °C, the last ${span(CELLS * MINUTE)}`),
    ),
  );
}
