/** Why a window is what it is, for somebody who has never heard of watermarks. */
import { get } from "./api.js";
import { h, replace, s } from "./dom.js";
import {
  ago,
  celsius,
  clockSeconds,
  count,
  daySeconds,
  number,
  percent,
  plural,
  sizeMs,
  span,
  utcText,
  windowText,
} from "./format.js";
import { absences, reasons } from "./states.js";
import { nowMs } from "./world.js";

export const title = "Why this window";

export async function show(main, { params, signal, about, setLive, go }) {
  const device = params.get("device") ?? "";
  const size = params.get("size") ?? "1m";
  const start = Number(params.get("start"));
  setLive(null);
  const crumb = h(
    "nav",
    { class: "crumb", "aria-label": "Way back" },
    h("a", { href: "/" }, "Overview"),
    h("span", { "aria-hidden": "true" }, "/"),
    h("a", { href: `/device?device=${encodeURIComponent(device)}` }, device),
    h("span", { "aria-hidden": "true" }, "/"),
    h("span", { class: "quiet" }, "Window"),
  );
  if (!about.hasLive) {
    replace(
      main,
      crumb,
      h("h1", { tabindex: -1 }, "Why this window"),
      h(
        "p",
        { class: "notice" },
        "Windows are explained by the aggregator, and only published files are shown here.",
      ),
    );
    return;
  }
  const told = await get("/api/explain", { device, window_size: size, window_start: start }, signal);
  if (signal.aborted) return;
  const startMs = Date.parse(told.window_start);
  const endMs = Date.parse(told.window_end);
  const neighbour = (at, label) =>
    h("button", {
      class: "button",
      onclick: () => go(`/explain?${new URLSearchParams({ device, size, start: String(at) })}`),
    }, label);
  replace(
    main,
    crumb,
    h(
      "div",
      { class: "head" },
      h(
        "div",
        {},
        h("h1", { tabindex: -1 }, windowText(startMs, endMs)),
        h(
          "p",
          { class: "quiet" },
          `${device}, window of ${sizeText(size)}. ${utcText(startMs)} to ${utcText(endMs).slice(11)}`,
        ),
      ),
      h("div", { class: "bar" }, neighbour(startMs - sizeMs(size), "← Before"), neighbour(endMs, "After →")),
    ),
    h(
      "div",
      { class: "stack" },
      answerCard(told),
      h(
        "section",
        { class: "card" },
        h("h2", {}, "What was measured, and when"),
        stripOf(told, startMs, endMs),
      ),
      h("section", { class: "card" }, h("ol", { class: "steps" }, stepsOf(told, endMs))),
      readingsCard(told),
      quarantineCard(told),
    ),
  );
}

const sizeText = (size) => ({ "1m": "one minute", "1h": "one hour", "1d": "one day" })[size] ?? size;

function answerCard({ row, state, absence }) {
  if (row === null || row.readings === 0) {
    const cause = absences[absence] ?? { label: absence ?? "no reading", about: "" };
    return h(
      "section",
      { class: "card" },
      h("p", { class: "answer" }, h("b", {}, `No value: ${cause.label}. `), cause.about),
    );
  }
  const parts = [
    h("b", {}, plural(row.readings, "reading")),
    row.expected ? ` of ${count(row.expected)} expected` : "",
    ` ${row.readings === 1 ? "makes" : "make"} `,
  ];
  if (row.temperature_c_mean !== null) {
    parts.push(
      "a mean of ",
      h("b", { class: "t" }, `${number(row.temperature_c_mean, 2)} °C`),
      ` (${celsius(row.temperature_c_min)} to ${celsius(row.temperature_c_max)})`,
    );
  }
  if (row.humidity_pct_mean !== null) {
    parts.push(
      row.temperature_c_mean !== null ? " and " : "",
      h("b", { class: "rh" }, `${number(row.humidity_pct_mean, 2)} %`),
      ` (${percent(row.humidity_pct_min)} to ${percent(row.humidity_pct_max)})`,
    );
  }
  parts.push(state === "open" ? ". It is still open: more may come." : ".");
  return h("section", { class: "card" }, h("p", { class: "answer" }, parts));
}

/** What happened, in order, as sentences. */
function stepsOf(told, endMs) {
  const { row, versions, readings, quarantined, duplicates, state, absence, device_state: device } = told;
  const step = (heading, ...text) => h("li", {}, h("h2", {}, heading), h("p", {}, text));
  const steps = [];
  const inWindow = quarantined.filter((q) => q.in_window).length;
  if (row === null) {
    const cause = absences[absence];
    steps.push(step("Nothing arrived for this window", cause?.about ?? ""));
    if (device?.last_heard) {
      steps.push(
        step(
          "The device",
          `was last heard ${ago(Date.parse(device.last_heard), nowMs())}, at ${
            daySeconds(Date.parse(device.last_heard))
          }.`,
        ),
      );
    }
  } else {
    const appended = readings.map((r) => Date.parse(r.append_time));
    const when = appended.length === 0
      ? ""
      : ` They reached the log between ${clockSeconds(Math.min(...appended))} and ${
        clockSeconds(Math.max(...appended))
      }.`;
    steps.push(step(
      row.readings + row.sensor_faults === 0
        ? "Nothing arrived"
        : `${plural(row.readings + row.sensor_faults, "slot")} arrived`,
      row.sensor_faults === 0
        ? `Each has a value.${when}`
        : `${plural(row.sensor_faults, "slot")} had no value because the sensor failed.${when}`,
      told.readings_expired ? " The single readings are no longer kept; the row keeps their exact sums." : "",
    ));
  }
  if (inWindow > 0) {
    steps.push(
      step(`${plural(inWindow, "reading")} not counted`, "Each is kept, with its reason, in the list below."),
    );
  }
  if (duplicates.in_window.length > 0) {
    steps.push(
      step(
        `${plural(duplicates.in_window.length, "duplicate")} ignored`,
        "The same reading was sent again; it counts once.",
      ),
    );
  }
  if (state === "open") {
    steps.push(
      step(
        "It is open",
        `It closes when the device's own readings say that ${
          clockSeconds(endMs)
        } has passed, with 30 s for stragglers, or after 5 min of silence.`,
      ),
    );
  }
  const first = versions[0];
  if (first !== undefined && state !== "open") steps.push(step("It closed", closing(first)));
  for (const version of versions.filter(({ revision }) => revision > 0)) {
    steps.push(step(
      `Revised: version ${version.revision}`,
      `A reading of this window came after it had closed, with record ${
        count(version.changed_by_offset)
      } at ${daySeconds(Date.parse(version.changed_at))}. The row was corrected: ${
        plural(version.readings, "reading")
      }, ${count(version.late)} late.`,
    ));
  }
  if (state !== "open" && row !== null) {
    steps.push(
      step(
        "It stands",
        "Late readings would still correct it. Whoever reads the log again gets this row, bit for bit.",
      ),
    );
  }
  return steps;
}

function closing({ closed_by: by, changed_at: at, changed_by_offset: offset }) {
  const when = at === null || at === undefined ? "" : ` at ${daySeconds(Date.parse(at))}`;
  return by === "watermark"
    ? `The device's own readings had passed its end by more than 30 s, so nothing older was on the way. Record ${
      count(offset)
    }${when} told it.`
    : by === "silence"
    ? `The device said nothing for 5 min after its last record, so it was closed without waiting any longer${when}.`
    : `It was closed${when}.`;
}

/** The window as a strip: each reading where it was measured, and when it reached the log. */
function stripOf({ readings, quarantined, row }, startMs, endMs) {
  const WIDTH = Math.max(560, document.getElementById("main").clientWidth - 90);
  const HEIGHT = 172;
  const shown = [
    ...readings.map((r) => ({ ...r, kind: r.fault !== null ? "fault" : r.late ? "late" : "good" })),
    ...quarantined.filter((q) => q.ts !== null && q.in_window).map((q) => ({ ...q, kind: "odd" })),
  ].slice(0, 600);
  if (shown.length === 0) {
    return h(
      "p",
      { class: "quiet" },
      row !== null && row.readings > 0 ? "The single readings are no longer kept." : "Nothing.",
    );
  }
  const x = (ms) => 20 + (ms - startMs) / (endMs - startMs) * (WIDTH - 40);
  const known = shown.filter((r) => r.temperature_c !== null && r.temperature_c !== undefined).map((r) =>
    r.temperature_c
  );
  const low = Math.min(...known, Infinity);
  const spread = Math.max(Math.max(...known, -Infinity) - low, 0.4);
  const y = (value) => 106 - (value - low) / spread * 66;
  const marks = shown.map((r) => {
    const at = x(Date.parse(r.ts));
    const has = r.temperature_c !== null && r.temperature_c !== undefined;
    const height = has ? y(r.temperature_c) : 122;
    const text = `${clockSeconds(Date.parse(r.ts))}: ${
      r.kind === "odd" ? reasons[r.reason] ?? r.reason : r.fault ?? celsius(r.temperature_c)
    }`;
    const shape = r.kind === "fault"
      ? s("path", { d: `M${at} ${height - 7}l7 12h-14z`, fill: "var(--bad)" })
      : r.kind === "odd"
      ? s("path", { d: `M${at} ${height - 7}l7 7-7 7-7-7z`, fill: "var(--odd)" })
      : s("circle", {
        cx: at,
        cy: height,
        r: shown.length > 120 ? 2 : 5,
        fill: r.kind === "late" ? "var(--surface)" : "var(--temperature)",
        stroke: "var(--temperature)",
        "stroke-width": 2,
      });
    return s(
      "g",
      {},
      s("title", {}, text),
      shown.length <= 120 && s("path", { d: `M${at} ${height}V130`, stroke: "var(--line)" }),
      shape,
    );
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => startMs + part * (endMs - startMs));
  const label = endMs - startMs > 3_600_000 ? (ms) => daySeconds(ms).slice(0, -3) : clockSeconds;
  return h(
    "div",
    { class: "scroll", tabindex: 0, role: "group", "aria-label": "Readings over time" },
    s(
      "svg",
      {
        class: "strip",
        viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
        role: "img",
        "aria-label": `${shown.length} readings between ${clockSeconds(startMs)} and ${
          clockSeconds(endMs)
        }; the table below lists them`,
      },
      s("rect", {
        x: 20,
        y: 20,
        width: WIDTH - 40,
        height: 110,
        rx: 6,
        fill: "var(--raised)",
        stroke: "var(--line)",
      }),
      ticks.map((ms, index) =>
        s("text", {
          x: x(ms),
          y: 152,
          "font-size": 13,
          fill: "var(--soft)",
          "text-anchor": index === 0 ? "start" : index === 4 ? "end" : "middle",
        }, label(ms))
      ),
      marks,
    ),
    h(
      "p",
      { class: "key" },
      h("span", {}, "● counted"),
      h("span", {}, "○ counted late"),
      h("span", { class: "bad" }, "▲ sensor fault"),
      h("span", { class: "odd" }, "◆ quarantined"),
    ),
  );
}

function readingsCard({ readings, readings_more: more }) {
  if (readings.length === 0) return null;
  const head = ["Measured", "Slot", "°C", "%", "Came", "In the log at", ""];
  return h(
    "details",
    { class: "card", open: readings.length <= 30 },
    h("summary", {}, `${plural(readings.length + more, "reading")}, with their places in the log`),
    h(
      "div",
      { class: "scroll", tabindex: 0, role: "group", "aria-label": "Readings" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            head.map((text, index) =>
              h(
                "th",
                { scope: "col", class: index === 2 || index === 3 ? "number" : "" },
                text || h("span", { class: "unseen" }, "Notes"),
              )
            ),
          ),
        ),
        h(
          "tbody",
          {},
          readings.map((r) => {
            const ts = Date.parse(r.ts);
            const notes = [
              r.fault && `no value: ${r.fault.replaceAll("_", " ")}`,
              r.late && "late",
              r.time_uncertain && "time uncertain",
              r.released && "released",
              r.flag && r.flag.replaceAll("_", " "),
            ].filter(Boolean);
            return h(
              "tr",
              {},
              h("td", { title: utcText(ts), class: "nowrap" }, clockSeconds(ts)),
              h("td", { class: "mono" }, r.seq === null ? "–" : count(r.seq)),
              h("td", { class: "number" }, number(r.temperature_c)),
              h("td", { class: "number" }, number(r.humidity_pct)),
              h("td", { class: "nowrap" }, `${span(Date.parse(r.append_time) - ts)} later`),
              h("td", { class: "mono nowrap" }, `${r.log_partition}:${r.log_offset}:${r.log_index}`),
              h("td", {}, notes.join(", ")),
            );
          }),
        ),
      ),
    ),
    more > 0 && h("p", { class: "quiet" }, `and ${count(more)} more`),
  );
}

function quarantineCard({ quarantined, quarantined_more: more }) {
  if (quarantined.length === 0) return null;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Not counted, in this window and beside it"),
    h(
      "ul",
      { class: "list" },
      quarantined.map((q) =>
        h(
          "li",
          {},
          h("span", { class: "quiet nowrap" }, q.ts === null ? "no time" : clockSeconds(Date.parse(q.ts))),
          h(
            "span",
            {},
            h("b", {}, reasons[q.reason] ?? q.reason),
            q.in_window ? "" : " (neighbouring window)",
            h("br"),
            q.detail,
            h("br"),
            h("code", { class: "quiet" }, q.raw),
          ),
        )
      ),
    ),
    more > 0 && h("p", { class: "quiet" }, `and ${count(more)} more`),
  );
}
