// The page of a run: lanes over time, drawn from the data that stands beside this script. See page.ts.
const data = JSON.parse(document.getElementById("data").textContent);
const lanes = document.getElementById("lanes");
const SVG = "http://www.w3.org/2000/svg";
const LEFT = 130;
const WIDTH = 1200;
const LANE = 34;
let fromMs = data.startMs;
let toMs = data.endMs;
let chosen = -1;

const partitions = 1 + Math.max(0, ...data.records.map((record) => record.partition));
const names = [
  ...data.boards,
  "network",
  "ingest",
  ...Array.from({ length: partitions }, (_, partition) => `log, partition ${partition}`),
  "aggregator",
  ...data.boards.map((board) => `windows of ${board}`),
];
const laneOf = { network: data.boards.length, ingest: data.boards.length + 1, log: data.boards.length + 2 };
laneOf.aggregator = laneOf.log + partitions;
const windowLane = (board) => laneOf.aggregator + 1 + board;

const time = (ms) => new Date(ms).toISOString().slice(11, 23);
const day = (ms) => new Date(ms).toISOString().replace("T", " ").slice(0, 19);
const x = (ms) => LEFT + ((ms - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT);
const y = (lane) => 24 + lane * LANE;
const isSeen = (ms, endMs = ms) => endMs >= fromMs && ms <= toMs;
const clampX = (ms) => Math.min(WIDTH, Math.max(LEFT, x(ms)));

function element(name, attributes, title) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (title !== undefined) {
    const told = document.createElementNS(SVG, "title");
    told.textContent = title;
    made.append(told);
  }
  return made;
}

function bar(ms, endMs, lane, top, height, kind, title) {
  const left = clampX(ms);
  return element("rect", {
    ...{ x: left, y: y(lane) + top, width: Math.max(2, clampX(endMs) - left), height, class: kind },
  }, title);
}

function drawFrame(svg) {
  svg.append(bar(data.quietMs, data.endMs, 0, -4, names.length * LANE, "quiet", "the faults have stopped"));
  names.forEach((name, lane) => {
    svg.append(
      element("line", { x1: 0, x2: WIDTH, y1: y(lane) + LANE - 6, y2: y(lane) + LANE - 6, class: "lane" }),
    );
    const text = element("text", { x: 2, y: y(lane) + 16 }, name);
    text.append(name.length > 20 ? `${name.slice(0, 19)}…` : name);
    svg.append(text);
  });
  for (let i = 0; i <= 8; i++) {
    const ms = fromMs + ((toMs - fromMs) * i) / 8;
    const text = element("text", { x: Math.min(x(ms), WIDTH - 60), y: 12 });
    text.append(time(ms).slice(0, 8));
    svg.append(text);
  }
}

function drawFaults(svg) {
  for (const { kind, atMs, forMs, lane } of data.incidents) {
    if (!isSeen(atMs, atMs + forMs)) continue;
    const at = typeof lane === "number" ? lane : laneOf[lane];
    const kindOf = forMs === 0 ? "fault instant" : "fault";
    svg.append(bar(atMs, atMs + forMs, at, -3, 6, kindOf, `${kind} at ${time(atMs)}, ${forMs / 1000} s`));
  }
}

const rowClass = (row) => row === null ? "none" : row.split(":")[0];

function drawReadings(svg) {
  data.readings.forEach((reading, i) => {
    if (!isSeen(reading.measuredMs)) return;
    const dot = element("circle", {
      ...{ cx: x(reading.measuredMs), cy: y(reading.board) + 14, r: i === chosen ? 6 : 3 },
      class: `${rowClass(reading.row)}${i === chosen ? " chosen" : ""}`,
    }, `seq ${reading.seq}: ${reading.said}; ${reading.row ?? "no row"}`);
    dot.addEventListener("click", () => choose(i));
    svg.append(dot);
  });
}

function drawNetwork(svg) {
  const way = chosen < 0 ? null : data.readings[chosen];
  data.requests.forEach(({ board, sentMs, endedMs, outcome, fault, readings }, i) => {
    const endMs = endedMs ?? sentMs + 12_000;
    if (!isSeen(sentMs, endMs)) return;
    const top = y(laneOf.network) + 4 + (board * 20) / Math.max(1, data.boards.length);
    const isBad = outcome !== "202" || fault !== null;
    const kind = `request${isBad ? " bad" : ""}${way?.requests.includes(i) ? " chosen" : ""}`;
    svg.append(element(
      "line",
      { x1: clampX(sentMs), x2: Math.max(clampX(sentMs) + 2, clampX(endMs)), y1: top, y2: top, class: kind },
      `${data.boards[board]}: ${readings} readings at ${time(sentMs)}: ${outcome ?? "no answer"}${
        fault ? `, ${fault}` : ""
      }`,
    ));
  });
  data.records.forEach(({ partition, offset, appendMs, key, kind }, i) => {
    if (!isSeen(appendMs)) return;
    const isChosen = way?.records.includes(i) === true;
    svg.append(element("rect", {
      ...{ x: x(appendMs) - 1, y: y(laneOf.log + partition) + 4, width: isChosen ? 5 : 2, height: 20 },
      class: `record${kind === "batch" ? "" : " control"}${isChosen ? " chosen" : ""}`,
    }, `offset ${offset}, ${kind} of ${key ?? "nobody"}, appended at ${time(appendMs)}`));
  });
}

function drawWindows(svg) {
  const way = chosen < 0 ? null : data.readings[chosen];
  const sizes = [...new Set(data.windows.map(({ size }) => size))];
  data.windows.forEach(({ board, size, startMs, endMs, readings, closedBy, revision }, i) => {
    if (board === null || !isSeen(startMs, endMs)) return;
    const kind = closedBy === null
      ? "open"
      : revision > 0
      ? "revised"
      : closedBy === "silence"
      ? "silence"
      : "closed";
    const height = 22 / sizes.length;
    const drawn = bar(
      ...[startMs, endMs, windowLane(board), 2 + sizes.indexOf(size) * height, Math.max(2, height - 1)],
      `${kind}${way?.windows.includes(i) ? " chosen" : ""}`,
      `${size} from ${day(startMs)}: ${readings} readings, ${closedBy ?? "open"}, revision ${revision}`,
    );
    drawn.setAttribute("fill-opacity", "0.6");
    svg.append(drawn);
  });
}

function draw() {
  const svg = element("svg", { viewBox: `0 0 ${WIDTH} ${30 + names.length * LANE}` });
  drawFrame(svg);
  drawWindows(svg);
  drawNetwork(svg);
  drawReadings(svg);
  drawFaults(svg);
  lanes.replaceChildren(svg);
}

/** The way of reading `i`, step by step. */
function wayOf(i) {
  const { board, boot, seq, measuredMs, said, fate, requests, records, row, windows } = data.readings[i];
  return [
    `${data.boards[board]}, boot ${boot}, seq ${seq}: measured ${said} at ${day(measuredMs)}`,
    `on the board: ${fate}`,
    ...requests.map((at) => {
      const { sentMs, outcome, fault } = data.requests[at];
      return `sent at ${time(sentMs)}: ${outcome ?? "no answer"}${fault ? `, ${fault}` : ""}`;
    }),
    ...records.map((at) => {
      const { partition, offset, appendMs } = data.records[at];
      return `in the log: partition ${partition}, offset ${offset}, appended at ${time(appendMs)}`;
    }),
    row === null ? "in no row" : `in the rows: ${row}`,
    ...windows.map((at) => {
      const { size, startMs, readings, closedBy, revision } = data.windows[at];
      return `in window ${size} from ${day(startMs)} with ${readings} readings, ${
        closedBy === null ? "open" : `closed by ${closedBy}`
      }, revision ${revision}`;
    }),
  ];
}

function choose(i) {
  if (i < 0 || i >= data.readings.length) return;
  chosen = i;
  const steps = wayOf(i).map((text) => {
    const step = document.createElement("li");
    step.textContent = text;
    return step;
  });
  document.getElementById("way").replaceChildren(...steps);
  const { measuredMs } = data.readings[i];
  if (!isSeen(measuredMs)) moveTo(measuredMs - (toMs - fromMs) / 2, toMs - fromMs);
  draw();
}

function moveTo(ms, spanMs) {
  const wholeMs = data.endMs - data.startMs;
  const span = Math.min(wholeMs, Math.max(1_000, spanMs));
  fromMs = Math.min(data.endMs - span, Math.max(data.startMs, ms));
  toMs = fromMs + span;
}

lanes.addEventListener("wheel", (event) => {
  event.preventDefault();
  const { left, width } = lanes.getBoundingClientRect();
  const part = Math.max(0, ((event.clientX - left) / width * WIDTH - LEFT) / (WIDTH - LEFT));
  const atMs = fromMs + part * (toMs - fromMs);
  const spanMs = (toMs - fromMs) * (event.deltaY > 0 ? 1.3 : 1 / 1.3);
  moveTo(atMs - part * spanMs, spanMs);
  draw();
}, { passive: false });

let dragX = null;
lanes.addEventListener("pointerdown", (event) => dragX = event.clientX);
globalThis.addEventListener("pointerup", () => dragX = null);
lanes.addEventListener("pointermove", (event) => {
  if (dragX === null || Math.abs(event.clientX - dragX) < 3) return;
  const { width } = lanes.getBoundingClientRect();
  moveTo(fromMs - ((event.clientX - dragX) / width) * (toMs - fromMs), toMs - fromMs);
  dragX = event.clientX;
  draw();
});
lanes.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step === undefined) return;
  event.preventDefault();
  const board = data.readings[chosen]?.board;
  let next = chosen + step;
  while (board !== undefined && data.readings[next] !== undefined && data.readings[next].board !== board) {
    next += step;
  }
  choose(next);
});
document.getElementById("find").addEventListener("change", (event) => {
  const text = event.target.value.trim();
  const at = text.lastIndexOf(" ");
  const found = data.readings.findIndex(({ board, seq }) =>
    data.boards[board] === text.slice(0, at) && String(seq) === text.slice(at + 1)
  );
  choose(found);
});

const verdict = document.getElementById("verdict");
verdict.textContent = data.violation ?? `No violation. Digest ${data.digest}`;
if (data.violation !== null) verdict.className = "violation";
document.getElementById("legend").textContent =
  "Readings and windows: green counted or closed in time, orange late or revised, violet a fault of the sensor or closed by silence, pink quarantined, grey in no row or open. Red: faults.";
draw();
