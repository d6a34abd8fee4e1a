/** From the boards to the files: whether all is well, in ten seconds. */
import { get } from "./api.js";
import { h, replace, s } from "./dom.js";
import { ago, count, number, plural, span, utcText } from "./format.js";
import { icon } from "./icons.js";
import { openLive } from "./live.js";
import { every, nowMs } from "./world.js";

export const title = "Pipeline";

const POLL_MS = 1_000;
/** Rates are over so many answers. */
const SAMPLES_MAX = 120;

/** Bounds of what is well; beyond, the sentence says what to look at. */
const LAG_SECONDS = 10;
const FILES_SECONDS = 15;

export async function show(main, { signal, about, setLive }) {
  const verdict = h("section", { class: "card verdict", role: "status" });
  const flow = h("ol", { class: "flow", "aria-label": "The way of a reading" });
  const more = h("div", { class: "columns" });
  replace(
    main,
    h("div", { class: "head" }, h("h1", { tabindex: -1 }, "Pipeline")),
    h("div", { class: "stack" }, verdict, flow, more),
  );
  const samples = [];

  const poll = async () => {
    try {
      const status = await get("/api/status", {}, signal);
      if (signal.aborted) return;
      samples.push(sampleOf(status));
      if (samples.length > SAMPLES_MAX) samples.shift();
      const judged = judge(status);
      replace(
        verdict,
        icon(judged.isWell ? "check" : "triangle", judged.isWell ? "good" : judged.tone),
        h("span", {}, judged.sentence),
      );
      replace(flow, nodesOf(status, samples, judged));
      replace(more, balanceCard(status), partitionsCard(status), rateCard(samples));
      if (!about.hasLive) setLive("files");
    } catch (error) {
      if (error.name === "AbortError") return;
      replace(verdict, icon("triangle", "bad"), h("span", {}, error.message));
    }
  };
  await poll();
  every(POLL_MS, poll, signal);
  if (about.hasLive) openLive({ windows: "none" }, { state: setLive }, signal);
}

function sampleOf({ nowMs: atMs, aggregator, fleet }) {
  const offset = (aggregator?.partitions ?? []).reduce((sum, p) => sum + p.next_offset, 0);
  const readings = fleet === null
    ? 0
    : fleet.counted + fleet.countedLate + fleet.sensorFault + fleet.quarantined + fleet.duplicates +
      fleet.released;
  return { atMs, offset, readings };
}

/** Per second over the samples of the last `overMs`; null while there are too few. */
export function rateOf(samples, key, overMs = 30_000) {
  const last = samples.at(-1);
  const first = samples.find(({ atMs }) => last !== undefined && last.atMs - atMs <= overMs);
  if (first === undefined || last.atMs - first.atMs < 1_500) return null;
  return Math.max(0, (last[key] - first[key]) / (last.atMs - first.atMs) * 1_000);
}

/** Whether all is well, and if not, what to look at first. Pure. */
export function judge({ aggregator, sentence, published, fleet, nowMs: time }) {
  const stopped = aggregator?.partitions.find(({ state }) => state === "stopped");
  const filesAge = published === null ? null : (time - published.publishedMs) / 1_000;
  const behind = aggregator?.partitions.find((p) => p.lag_seconds > LAG_SECONDS);
  const isMoving = aggregator === null ||
    aggregator.partitions.some((p) => p.committed_at !== null && time - Date.parse(p.committed_at) < 10_000);
  if (stopped !== undefined) {
    return bad("aggregator", stopped.sentence ?? "A partition has stopped and needs somebody.");
  }
  if (aggregator === null && published === null) {
    return bad("aggregator", sentence ?? "There is no aggregator and nothing is published.");
  }
  if (aggregator !== null && !aggregator.ready) {
    return wary("aggregator", aggregator.reason ?? "The aggregator is not ready.");
  }
  if (behind !== undefined) {
    return wary(
      "log",
      `The rows are ${span(behind.lag_seconds * 1_000)} behind the log: ${
        count(behind.lag_records)
      } records wait.`,
    );
  }
  if (filesAge !== null && isMoving && aggregator !== null && stale(aggregator) > FILES_SECONDS) {
    return wary("files", `The files are ${span(stale(aggregator) * 1_000)} behind the rows.`);
  }
  if (fleet === null || fleet.devices === 0) {
    return { isWell: true, at: null, tone: "good", sentence: "Ready, and waiting for the first reading." };
  }
  if (fleet.heard === 0) return wary("boards", "No device has been heard for 5 min.");
  const silent = fleet.devices - fleet.heard;
  if (aggregator === null) {
    return {
      isWell: true,
      at: null,
      tone: "good",
      sentence: `Files of ${plural(fleet.devices, "device")}, published ${ago(published.publishedMs, time)}.`,
    };
  }
  return {
    isWell: true,
    at: null,
    tone: "good",
    sentence: silent === 0
      ? `All is well: ${plural(fleet.heard, "device")} heard, every record in the rows, files up to date.`
      : `The pipeline is well. ${plural(silent, "device")} of ${count(fleet.devices)} ${
        silent === 1 ? "is" : "are"
      } silent.`,
  };
}

const bad = (at, sentence) => ({ isWell: false, at, tone: "bad", sentence });
const wary = (at, sentence) => ({ isWell: false, at, tone: "warn", sentence });
/** How long rows have waited for the files, in seconds. */
const stale = (aggregator) =>
  Math.max(
    0,
    ...aggregator.partitions.map((p) =>
      p.published === null || p.published.next_offset >= p.next_offset ? 0 : p.published.age_seconds
    ),
  );

function nodesOf({ aggregator, published, fleet, nowMs: time }, samples, judged) {
  const partitions = aggregator?.partitions ?? [];
  const sum = (key) => partitions.reduce((total, p) => total + (p[key] ?? 0), 0);
  const lag = sum("lag_records");
  const watermarks = partitions.map((p) => p.watermark_age_seconds).filter((value) => value !== null);
  const readingsRate = rateOf(samples, "readings");
  const recordsRate = rateOf(samples, "offset");
  const unknown = aggregator === null ? "not asked" : null;
  return [
    node(
      "Boards",
      "boards",
      judged,
      fleet === null ? "–" : count(fleet.heard),
      fleet === null ? "" : `of ${count(fleet.devices)} heard`,
      [["silent", fleet === null ? "–" : count(fleet.devices - fleet.heard)]],
    ),
    node(
      "Ingest",
      "ingest",
      judged,
      readingsRate === null ? "–" : number(readingsRate, readingsRate < 10 ? 1 : 0),
      "readings/s",
      [["records/s", recordsRate === null ? "–" : number(recordsRate, 1)]],
    ),
    node("Log", "log", judged, unknown ?? count(sum("end_offset")), unknown === null ? "records" : "", [[
      "waiting",
      unknown ?? count(lag),
    ], ["delay", unknown ?? span(1_000 * Math.max(0, ...partitions.map((p) => p.lag_seconds ?? 0)))]]),
    node(
      "Aggregator",
      "aggregator",
      judged,
      unknown ?? (watermarks.length === 0 ? "–" : span(Math.max(...watermarks) * 1_000)),
      unknown === null ? "watermark age" : "",
      [["open windows", unknown ?? count(sum("open_windows"))], [
        "state",
        unknown ?? [...new Set(partitions.map((p) => p.state))].join(", "),
      ]],
    ),
    node(
      "Files",
      "files",
      judged,
      published === null ? "–" : ago(published.publishedMs, time).replace(" ago", ""),
      published === null ? "nothing yet" : "old",
      [["generation", published === null ? "–" : count(published.generation)]],
    ),
  ];
}

function node(name, key, judged, figure, unit, rows) {
  const isWell = judged.at !== key;
  return h(
    "li",
    { class: "card node" },
    h(
      "div",
      { class: "node-head" },
      h("h2", {}, name),
      h(
        "span",
        { class: isWell ? "good" : judged.tone },
        icon(isWell ? "check" : "triangle"),
        h("span", { class: "unseen" }, isWell ? "well" : "look here"),
      ),
    ),
    h("p", { class: "figure" }, figure, " ", h("small", {}, unit)),
    h(
      "dl",
      { class: "small quiet" },
      rows.map(([label, value]) => h("div", { class: "bar" }, h("dt", {}, label), h("dd", {}, value))),
    ),
  );
}

function balanceCard({ fleet }) {
  if (fleet === null) return null;
  const arrivals = fleet.counted + fleet.countedLate + fleet.sensorFault + fleet.quarantined +
    fleet.duplicates + fleet.released;
  const rows = [
    ["counted", fleet.counted],
    ["counted late", fleet.countedLate],
    ["sensor faults", fleet.sensorFault],
    ["quarantined", fleet.quarantined],
    ["duplicates", fleet.duplicates],
    ["released", fleet.released],
  ];
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Every reading in the log"),
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => [h("dt", {}, name), h("dd", {}, count(value))]),
      h("dt", {}, "together"),
      h("dd", {}, h("b", {}, count(arrivals))),
    ),
    h(
      "p",
      { class: "quiet small" },
      `Besides, boards gave up ${count(fleet.lost)} readings, and ${count(fleet.missing)} have not come yet.`,
    ),
  );
}

function partitionsCard({ aggregator, sentence }) {
  if (aggregator === null) {
    return h("section", { class: "card" }, h("h2", {}, "Partitions"), h("p", { class: "quiet" }, sentence));
  }
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Partitions"),
    h(
      "ul",
      { class: "list" },
      aggregator.partitions.map((p) =>
        h(
          "li",
          {},
          h("b", {}, String(p.partition)),
          h(
            "span",
            {},
            `${p.state}, ${count(p.next_offset)} of ${count(p.end_offset)} records, ${
              plural(p.devices, "device")
            }`,
            p.sentence && h("span", { class: "bad" }, ` ${p.sentence}`),
            h("br"),
            h(
              "span",
              { class: "quiet", title: utcText(Date.parse(p.append_time)) },
              `newest record ${ago(Date.parse(p.append_time), nowMs())}`,
            ),
          ),
        )
      ),
    ),
  );
}

/** Readings a second since this page was opened. */
function rateCard(samples) {
  const rates = samples.map((_, index) =>
    rateOf(samples.slice(Math.max(0, index - 8), index + 1), "readings")
  ).map((value) => value ?? 0);
  const high = Math.max(1, ...rates);
  const x = (index) => index / (SAMPLES_MAX - 1) * 300;
  const points = rates.map((rate, index) => `${x(index).toFixed(1)},${(76 - rate / high * 68).toFixed(1)}`)
    .join(" ");
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "Readings a second"),
    s(
      "svg",
      {
        class: "strip",
        viewBox: "0 0 300 80",
        role: "img",
        "aria-label": `Readings a second in the last two minutes, at most ${number(high, 1)}`,
      },
      s("path", { d: "M0 76.500H300", stroke: "var(--line)" }),
      s("polyline", {
        points,
        fill: "none",
        stroke: "var(--accent)",
        "stroke-width": 1.6,
        "stroke-linejoin": "round",
      }),
    ),
    h(
      "p",
      { class: "quiet small" },
      `As the files have it, since this page was opened, at most ${number(high, 1)}.`,
    ),
  );
}
