/** The golden tapes: each a situation that people ask about, short enough to be read as rows. */
import { defaultConfig, type WindowSpec } from "../core/config.ts";
import type { ModelBoardSpec } from "./model_board.ts";
import type { Incident, Scenario } from "./scenario.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY_MS = 24 * HOUR;

const fixed = (label: string, sizeMs: number): WindowSpec => ({
  kind: "fixed",
  label,
  sizeMs,
  hopMs: sizeMs,
});

const board = (device: string, more: Partial<ModelBoardSpec> = {}): ModelBoardSpec => ({
  device,
  everyMs: 60_000,
  flashReadingsMax: 5_000,
  flushReadings: 1,
  sendEveryMs: 5 * MINUTE,
  batchReadingsMax: 60,
  latencyMs: 40,
  clock: { kind: "good", driftPpm: 20 },
  ...more,
});

const scenario = (more: Partial<Scenario> & Pick<Scenario, "boards">): Scenario => ({
  version: 1,
  seed: 1,
  startMs: Date.UTC(2026, 5, 1),
  faultsMs: 4 * HOUR,
  partitions: 1,
  workers: 1,
  ingests: 1,
  windows: [fixed("10m", 10 * MINUTE), fixed("1h", HOUR)],
  publishEveryMs: HOUR,
  readWaitMs: 10_000,
  recordsPerCommitMax: 5_000,
  incidents: [],
  ...more,
});

/** Name → what happens. The order is that of the repository. */
export const goldenScenarios: Readonly<Record<string, Scenario>> = {
  clean_day: scenario({
    faultsMs: DAY_MS,
    boards: [board("greenhouse-1")],
    windows: [fixed("1h", HOUR), fixed("1d", DAY_MS)],
  }),
  outage_and_backlog: scenario({
    boards: [board("greenhouse-1"), board("greenhouse-2", { flashReadingsMax: 40 })],
    incidents: [{ kind: "wifi_down", atMs: HOUR, board: 0, forMs: 90 * MINUTE }, {
      ...{ kind: "wifi_down", atMs: HOUR, board: 1, forMs: 90 * MINUTE },
    }],
  }),
  poisoned_clock: scenario({
    boards: [
      board("honest"),
      board("a-year-ahead", { clock: { kind: "ahead", driftPpm: 0 } }),
      board("never-set", {
        clock: { kind: "zero", driftPpm: 0 },
      }),
    ],
  }),
  rebalance_storm: scenario({
    ...{ faultsMs: 2 * HOUR, partitions: 3, workers: 3 },
    boards: ["a", "b", "c", "d"].map((name) => board(`storm-${name}`)),
    incidents: Array.from({ length: 12 }, (_, i): Incident => ({
      ...{ kind: i % 3 === 2 ? "zombie" : "rebalance", atMs: (i + 1) * 8 * MINUTE, count: 2 },
    })),
  }),
  summer_time: scenario({
    ...{ startMs: Date.UTC(2026, 2, 28, 22), faultsMs: 27 * HOUR },
    boards: [board("berlin", { everyMs: 5 * MINUTE, sendEveryMs: 10 * MINUTE })],
    windows: [fixed("1h", HOUR), { kind: "local_day", label: "day", zone: "Europe/Berlin" }],
  }),
  fleet_of_100: scenario({
    ...{ faultsMs: HOUR, partitions: 4, workers: 2 },
    boards: Array.from(
      { length: 100 },
      (_, i) =>
        board(`fleet-${String(i).padStart(3, "0")}`, {
          everyMs: 2 * MINUTE,
          sendEveryMs: 10 * MINUTE,
          latencyMs: 5 + i,
        }),
    ),
    windows: [fixed("1h", HOUR)],
  }),
};

export const goldenConfig = (name: string) => ({ ...defaultConfig, windows: goldenScenarios[name]!.windows });
