/** The model is held to the firmware: the same scenario and seed, the same request bodies at the same times. */
import assert from "node:assert/strict";
import { encodeFrame, type SensorFault } from "../dht22.ts";
import { below } from "../../../core/ports/random.ts";
import { seededRandom } from "../../random.ts";
import { Scheduler } from "../../scheduler.ts";
import { createBoard, type CreateBoardOptions } from "../create_board.ts";
import { HttpNetwork, type HttpNetworkOptions } from "../http_network.ts";
import { loadMicroPythonRuntime } from "../micropython_program.ts";
import { HOUR_MS, MINUTE_MS, SECOND_MS, START_MS } from "../testing/desk.ts";
import { problem, Receiver } from "../testing/receiver.ts";
import { createModelBoard } from "./create_model_board.ts";

const runtime = loadMicroPythonRuntime();

interface Story {
  readonly name: string;
  readonly ms: number;
  readonly seed?: number;
  readonly board?: Partial<CreateBoardOptions>;
  readonly network?: (nowMs: () => number) => Partial<HttpNetworkOptions>;
  /** Power cuts of a second, at these times after the start. */
  readonly cutsMs?: readonly number[];
  readonly answer?: (sinceStartMs: number) => Response | null;
  /** Until then, whatever reports lost slots is refused. */
  readonly refusesReportsMs?: number;
}

async function requestsOf(story: Story, isModel: boolean): Promise<string[]> {
  const scheduler = new Scheduler({ startMs: START_MS });
  const receiver = new Receiver(() => scheduler.nowMs);
  const network = new HttpNetwork({
    scheduler,
    handler: async (request, { nowMs }) => {
      if (
        nowMs - START_MS < (story.refusesReportsMs ?? 0) && (await request.clone().json()).lost.length > 0
      ) {
        return problem(400, "no reports");
      }
      return story.answer?.(nowMs - START_MS) ?? receiver.handle(request);
    },
    ...story.network?.(() => scheduler.nowMs),
  });
  const common = { device: "board-1", seed: story.seed ?? 1, network, ...story.board };
  const board = isModel
    ? createModelBoard(scheduler, common)
    : createBoard(scheduler, { ...common, runtime: await runtime });
  await board.powerOn();
  for (const cutMs of story.cutsMs ?? []) {
    await scheduler.runUntil(START_MS + cutMs);
    board.check();
    board.powerCut();
    await scheduler.runUntil(scheduler.nowMs + SECOND_MS);
    await board.powerOn();
  }
  await scheduler.runUntil(START_MS + story.ms);
  board.check();
  board.powerCut();
  receiver.checkOrder();
  return receiver.requests.map(({ atMs, body }) => `${atMs - START_MS} ${body}`);
}

const between = (nowMs: number, fromMs: number, toMs: number) =>
  nowMs - START_MS >= fromMs && nowMs - START_MS < toMs;
const faultEvery = (nowMs: number): SensorFault | null => {
  const kind = Math.floor(nowMs / 1000) % 13;
  if (kind === 0) return { kind: "silent" };
  if (kind === 1) return { kind: "flippedBits", bits: [3] };
  return kind === 2
    ? { kind: "stuck", frame: encodeFrame({ temperatureTenthsC: -2000, humidityTenthsPct: 1 }) }
    : null;
};

const stories: readonly Story[] = [
  { name: "a quiet hour", ms: HOUR_MS },
  {
    name: "a sensor with all its faults, every 2 s",
    ms: 20 * MINUTE_MS,
    board: { settings: { every_ms: 2000 }, surroundings: { sensorFault: faultEvery } },
  },
  {
    name: "an outage of the server, with Retry-After",
    ms: HOUR_MS,
    board: { settings: { every_ms: 2000 } },
    answer: (ms) =>
      ms > 5 * MINUTE_MS && ms < 35 * MINUTE_MS ? problem(503, "down", { "retry-after": "7" }) : null,
  },
  {
    name: "Wi-Fi that comes and goes",
    ms: HOUR_MS,
    board: { surroundings: { accessPoint: (nowMs) => nowMs % 420_000 < 150_000 ? "absent" : "open" } },
  },
  {
    name: "power cuts with and without Wi-Fi, the first sync after an hour",
    ms: 90 * MINUTE_MS,
    cutsMs: [10 * MINUTE_MS, 25 * MINUTE_MS, 26 * MINUTE_MS, 70 * MINUTE_MS],
    board: { surroundings: { accessPoint: (nowMs) => between(nowMs, 0, HOUR_MS) ? "absent" : "open" } },
  },
  {
    name: "no NTP, a clock that is an hour ahead at first",
    ms: 3 * HOUR_MS,
    network: (nowMs) => ({ ntpMs: () => nowMs() + (between(nowMs(), 0, 30 * MINUTE_MS) ? HOUR_MS : 0) }),
  },
  { name: "no NTP server in the settings", ms: 20 * MINUTE_MS, board: { settings: { ntp_host: "" } } },
  {
    name: "NTP is blocked",
    ms: 20 * MINUTE_MS,
    network: () => ({ datagramArrives: (_, port) => port !== 123 }),
  },
  {
    name: "refused batches and lost answers",
    ms: 30 * MINUTE_MS,
    answer: (ms) => Math.floor(ms / 20_000) % 9 === 0 ? problem(400, "no batch") : null,
    network: (nowMs) => ({ fault: () => nowMs() % 5 === 0 ? { kind: "reset", handled: true } : null }),
  },
  {
    name: "reports of lost slots that are refused for a while",
    ms: 90 * MINUTE_MS,
    refusesReportsMs: 50 * MINUTE_MS,
    cutsMs: [20 * MINUTE_MS],
    answer: (ms) => ms > 5 * MINUTE_MS && ms < 6 * MINUTE_MS ? problem(400, "no batch") : null,
  },
];

/** Trouble of all kinds at times drawn from a seed. */
function drawn(seed: number): Story {
  const random = seededRandom("differential", seed);
  const second = (of: number) => below(random, of) * SECOND_MS;
  const spans = Array.from({ length: 4 }, () => {
    const fromMs = second(1500);
    return { fromMs, toMs: fromMs + second(400) };
  });
  const [wifi, down, lost, silent] = spans.map(({ fromMs, toMs }) => (nowMs: number) =>
    between(nowMs, fromMs, toMs)
  );
  const cutsMs = [second(600), 600_000 + second(600), 1_200_000 + second(600)];
  return {
    name: `troubles of seed ${seed}`,
    ms: 40 * MINUTE_MS,
    seed,
    cutsMs,
    board: {
      settings: { every_ms: 2000 + below(random, 4) * 1000 },
      surroundings: {
        sensorFault: (nowMs) => Math.floor(nowMs / 1000) % 11 === 0 ? { kind: "short", bitCount: 8 } : null,
        accessPoint: (nowMs) => wifi?.(nowMs) ? "noLease" : "open",
      },
    },
    answer: (ms) => down?.(ms + START_MS) ? problem(503, "down") : null,
    network: (nowMs) => ({
      latencyMs: () => 5 + (nowMs() % 40),
      fault: () =>
        lost?.(nowMs()) ? { kind: "reset", handled: true } : silent?.(nowMs()) ? { kind: "silence" } : null,
    }),
  };
}

for (const story of [...stories, ...[1, 2, 3].map(drawn)]) {
  Deno.test(`model and firmware send the same: ${story.name}`, async () => {
    const [model, firmware] = [await requestsOf(story, true), await requestsOf(story, false)];
    const index = firmware.findIndex((request, i) => request !== model[i]);
    if (index >= 0) assert.equal(model[index], firmware[index], `request ${index} of ${firmware.length}`);
    assert.equal(model.length, firmware.length);
    assert.ok(firmware.length > 20);
  });
}
