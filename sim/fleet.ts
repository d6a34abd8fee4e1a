/**
 * The boards of a run, their sensors and the network between them and ingest, with what goes wrong there. Boards are
 * models or run the real firmware; both meet the same faults, the model on the level of requests, the firmware on that
 * of TCP bytes, datagrams and flash operations.
 */
import type { Decisions } from "./decisions.ts";
import { HttpNetwork, type MicroPythonRuntime, weatherOf } from "./board/mod.ts";
import type { HttpFault } from "./board/http_network.ts";
import type { IngestAnswer } from "./ingests.ts";
import { MicroPythonBoard } from "./micropython_board.ts";
import { ModelBoard, type PostOutcome } from "./model_board.ts";
import type { WorldSample } from "./oracle_world.ts";
import type { RequestStory } from "./story/story.ts";
import type { Incident, IncidentKind, Scenario } from "./scenario.ts";
import type { Scheduler } from "./scheduler.ts";
import type { SimulatedBoard } from "./simulated_board.ts";

export interface FleetWorld {
  readonly scheduler: Scheduler;
  readonly scenario: Scenario;
  readonly decisions: Decisions;
  /** Needed where boards run the firmware. */
  readonly runtime: MicroPythonRuntime | null;
  /** A request arrives at ingest. */
  readonly deliver: (request: Request, body: BodyInit, answer: (outcome: IngestAnswer) => void) => void;
  /** Somebody listens at ingest's address. */
  readonly isServed: () => boolean;
  readonly onHappened: (kind: IncidentKind) => void;
  readonly onViolation: (sentence: string) => void;
  /** Runs `task` after `ms`, and before the run ends. */
  readonly later: (ms: number, task: () => void | Promise<void>) => void;
  /** Told of each request as it is sent; what becomes of it is written into it. */
  readonly onRequest: (story: RequestStory) => void;
}

const networkKinds = [
  "request_lost",
  "answer_lost",
  "request_delayed",
  "request_doubled",
  "half_open",
] as const;
const boardKinds = [
  ...networkKinds,
  ...["wifi_down", "dns_down", "power_cut", "brown_out", "torn_flash_write", "flash_erased"] as const,
  ...["sensor_silent", "sensor_checksum", "sensor_stuck", "sensor_out_of_range"] as const,
] as const;
/** Incidents that happen to boards and their network. */
export type BoardIncidentKind = (typeof boardKinds)[number];

export const isBoardIncident = (kind: IncidentKind): kind is BoardIncidentKind =>
  boardKinds.some((each) => each === kind);

interface NetworkFault {
  readonly kind: (typeof networkKinds)[number];
  left: number;
  readonly ms: number;
}

const DNS_PORT = 53;
const JSON_TYPE = "application/json";

export class Fleet {
  readonly boards: readonly SimulatedBoard[];
  readonly #world: FleetWorld;
  readonly #networkFaults: NetworkFault[][];
  readonly #wifiDownUntilMs: number[];
  readonly #sensorFaults: { readonly kind: string; readonly untilMs: number }[][];
  #dnsDownUntilMs = 0;

  constructor(world: FleetWorld) {
    this.#world = world;
    const { boards, firmware } = world.scenario;
    this.#networkFaults = boards.map(() => []);
    this.#wifiDownUntilMs = boards.map(() => 0);
    this.#sensorFaults = boards.map(() => []);
    this.boards = firmware === "micropython" ? this.#micropythonBoards() : this.#modelBoards();
  }

  get samples(): WorldSample[] {
    return this.boards.flatMap((board) => board.samples);
  }

  get unsentCount(): number {
    return this.boards.reduce((sum, board) => sum + board.unsentCount, 0);
  }

  powerOn(): void {
    this.boards.forEach((board, i) => this.#world.scheduler.after(i * 37, () => board.powerOn()));
  }

  /** What has stopped a board's program, null if nothing has. */
  get failure(): string | null {
    const board = this.boards.find(({ failure }) => failure !== null);
    return board === undefined ? null : `the firmware of ${board.device} failed: ${String(board.failure)}`;
  }

  /** Lets go of everything. */
  close(): void {
    for (const board of this.boards) board.powerCut();
  }

  /** Faults stop. */
  calm(): void {
    this.#dnsDownUntilMs = 0;
    this.boards.forEach((board, i) => {
      this.#networkFaults[i] = [];
      this.#wifiDownUntilMs[i] = 0;
      board.calm();
    });
  }

  /** Returns when all is on its way: boards that are off come on, and none samples any more. */
  async comeToRest(): Promise<void> {
    for (const board of this.boards) {
      await board.powerOn();
      board.stopSampling();
    }
  }

  inflict(
    { kind, board: number = 0, forMs = 1_000, count = 1 }: Incident & { kind: BoardIncidentKind },
  ): void {
    const { scheduler, later, onHappened } = this.#world;
    const i = number % Math.max(1, this.boards.length);
    const board = this.boards[i];
    const untilMs = scheduler.nowMs + forMs;
    switch (kind) {
      case "request_lost":
      case "answer_lost":
      case "request_delayed":
      case "request_doubled":
      case "half_open":
        this.#networkFaults[i]?.push({ kind, left: count, ms: forMs });
        return;
      case "wifi_down":
        this.#wifiDownUntilMs[i] = untilMs;
        break;
      case "dns_down":
        this.#dnsDownUntilMs = untilMs;
        break;
      case "power_cut":
        board?.powerCut();
        later(forMs, () => board?.powerOn());
        break;
      case "brown_out":
        for (let cut = 0; cut < count; cut++) {
          later(cut * 400, () => board?.powerCut());
          later(cut * 400 + 200, () => board?.powerOn());
        }
        break;
      case "torn_flash_write":
        board?.tearNextFlush();
        break;
      case "flash_erased":
        board?.powerCut();
        board?.eraseFlash();
        later(2_000, () => board?.powerOn());
        break;
      case "sensor_silent":
      case "sensor_checksum":
      case "sensor_stuck":
      case "sensor_out_of_range":
        this.#sensorFaults[i]?.unshift({ kind, untilMs });
        break;
    }
    onHappened(kind);
  }

  // --- boards --------------------------------------------------------------------------------------------------------

  #modelBoards(): SimulatedBoard[] {
    const { scheduler, scenario, decisions } = this.#world;
    return scenario.boards.map((spec, i) => {
      const weather = weatherOf(scenario.seed, spec.device);
      return new ModelBoard(spec, {
        scheduler,
        random: (purpose) => decisions.of("board", spec.device, purpose),
        climate: (nowMs) => this.#climate(i, weather.at(nowMs), nowMs),
        sensorFault: (nowMs) => this.#sensorFault(i, nowMs),
        post: (body, done) => this.#post(i, body, done),
        askTime: (done) => this.#askTime(i, done),
      });
    });
  }

  #micropythonBoards(): SimulatedBoard[] {
    const { scheduler, scenario, runtime, isServed, onViolation } = this.#world;
    if (runtime === null) throw new Error("boards with the firmware need its runtime");
    const numbers = new Map(scenario.boards.map(({ device }, i) => [device, i]));
    const numberOf = (device: string) => numbers.get(device) ?? 0;
    const network = new HttpNetwork({
      scheduler,
      takesTime: true,
      latencyMs: (device) => scenario.boards[numberOf(device)]?.latencyMs ?? 1,
      accepts: () => isServed() ? "yes" : "refused",
      datagramArrives: (_, port) => port !== DNS_PORT || scheduler.nowMs >= this.#dnsDownUntilMs,
      fault: ({ device }) => this.#httpFault(numberOf(device)),
      handler: (request, { device }) => this.#handle(numberOf(device), request),
    });
    return scenario.boards.map((spec, i) => {
      const weather = weatherOf(scenario.seed, spec.device);
      return new MicroPythonBoard(spec, {
        ...{ scheduler, seed: scenario.seed, runtime, network, onBroken: onViolation },
        climate: (nowMs) => this.#climate(i, weather.at(nowMs), nowMs),
        sensorFault: (nowMs) => this.#sensorFault(i, nowMs),
        accessPoint: (nowMs) => nowMs < (this.#wifiDownUntilMs[i] ?? 0) ? "absent" : "open",
      });
    });
  }

  // --- sensors -------------------------------------------------------------------------------------------------------

  #sensorFaultAt(board: number, nowMs: number): string | null {
    return (this.#sensorFaults[board] ?? []).find((fault) => nowMs < fault.untilMs)?.kind ?? null;
  }

  #sensorFault(board: number, nowMs: number): string | null {
    const kind = this.#sensorFaultAt(board, nowMs);
    return kind === "sensor_silent" ? "timeout" : kind === "sensor_checksum" ? "checksum" : null;
  }

  #climate(
    board: number,
    air: { temperatureTenthsC: number; humidityTenthsPct: number },
    nowMs: number,
  ): { temperatureTenthsC: number; humidityTenthsPct: number } {
    const kind = this.#sensorFaultAt(board, nowMs);
    if (kind === "sensor_stuck") return { temperatureTenthsC: 10, humidityTenthsPct: 10 };
    if (kind === "sensor_out_of_range") return { temperatureTenthsC: -2_000, humidityTenthsPct: 2_550 };
    return air;
  }

  // --- the network ---------------------------------------------------------------------------------------------------

  #nextNetworkFault(board: number): NetworkFault | null {
    const faults = this.#networkFaults[board] ?? [];
    const [fault] = faults;
    if (fault === undefined) return null;
    if (--fault.left <= 0) faults.shift();
    this.#world.onHappened(fault.kind);
    return fault;
  }

  #told(board: number, body: string, fault: NetworkFault["kind"] | null): RequestStory {
    const story: RequestStory = {
      device: this.boards[board]?.device ?? "",
      sentMs: this.#world.scheduler.nowMs,
      endedMs: null,
      outcome: null,
      fault,
      body,
    };
    this.#world.onRequest(story);
    return story;
  }

  #end(story: RequestStory, outcome: string): void {
    story.endedMs ??= this.#world.scheduler.nowMs;
    story.outcome ??= outcome;
  }

  // Model boards: requests.

  #isCutOff(board: number): boolean {
    const { nowMs } = this.#world.scheduler;
    return nowMs < (this.#wifiDownUntilMs[board] ?? 0) || nowMs < this.#dnsDownUntilMs;
  }

  #post(board: number, body: string, done: (outcome: PostOutcome) => void): void {
    const { scheduler, scenario } = this.#world;
    const latencyMs = scenario.boards[board]?.latencyMs ?? 1;
    const fail = () => done({ kind: "failed" });
    if (this.#isCutOff(board)) return void scheduler.after(1, fail);
    const fault = this.#nextNetworkFault(board);
    const story = this.#told(board, body, fault?.kind ?? null);
    const answer = (outcome: IngestAnswer) => {
      this.#end(story, outcome.kind === "answer" ? String(outcome.response.status) : outcome.kind);
      if (fault?.kind === "answer_lost" || this.#isCutOff(board)) return;
      scheduler.after(latencyMs, () => done(postOutcomeOf(outcome)));
    };
    if (fault?.kind === "request_lost" || fault?.kind === "half_open") {
      // Half open: the board hears nothing; lost: a reset tells it soon.
      if (fault.kind === "request_lost") scheduler.after(3 * latencyMs, fail);
      return this.#end(story, "lost");
    }
    const delayMs = latencyMs + (fault?.kind === "request_delayed" ? fault.ms : 0);
    scheduler.after(delayMs, () => this.#world.deliver(requestOf(body), body, answer));
    if (fault?.kind !== "request_doubled") return;
    scheduler.after(delayMs + fault.ms, () => this.#world.deliver(requestOf(body), body, () => {}));
  }

  #askTime(board: number, done: (nowMs: number) => void): void {
    if (this.#isCutOff(board)) return;
    const { scheduler, scenario } = this.#world;
    const latencyMs = scenario.boards[board]?.latencyMs ?? 1;
    scheduler.after(latencyMs, () => {
      const { nowMs } = scheduler;
      scheduler.after(latencyMs, () => done(nowMs));
    });
  }

  // Boards with the firmware: bytes.

  #httpFault(board: number): HttpFault | null {
    const fault = this.#nextNetworkFault(board);
    switch (fault?.kind) {
      case "request_lost":
        return { kind: "reset", handled: false };
      case "half_open":
        return { kind: "silence" };
      case "answer_lost":
        return { kind: "reset", handled: true };
      case "request_delayed":
        return { kind: "delay", ms: fault.ms };
      case "request_doubled":
        this.#doublesAfterMs[board] = fault.ms;
        return null;
      default:
        return null;
    }
  }

  /** A proxy sends the next request of a board again after so long. */
  readonly #doublesAfterMs: number[] = [];

  async #handle(board: number, request: Request): Promise<Response | null> {
    const { scheduler, deliver } = this.#world;
    const body = request.method === "POST" ? await request.text() : "";
    const firmware = this.boards[board] as MicroPythonBoard;
    const again = () => new Request(request.url, { method: request.method, headers: request.headers, body });
    const doubleMs = this.#doublesAfterMs[board];
    delete this.#doublesAfterMs[board];
    if (body === "") return await this.#answer(new Request(request.url, { method: request.method }), body);
    const story = this.#told(board, body, doubleMs === undefined ? null : "request_doubled");
    firmware.arrived(body);
    if (doubleMs !== undefined) scheduler.after(doubleMs, () => deliver(again(), body, () => {}));
    const response = await this.#answer(again(), body);
    this.#end(story, response === null ? "died" : String(response.status));
    if (response?.status === 202) firmware.acknowledged(body);
    return response;
  }

  /** As a server would send it: with a date. */
  #answer(request: Request, body: string): Promise<Response | null> {
    return new Promise((resolve) => {
      this.#world.deliver(request, body, (outcome) => {
        if (outcome.kind !== "answer") return resolve(null);
        const headers = new Headers(outcome.response.headers);
        headers.set("date", new Date(this.#world.scheduler.nowMs).toUTCString());
        resolve(new Response(outcome.text, { status: outcome.response.status, headers }));
      });
    });
  }
}

/** A request with a body as boards and others send it. */
export const requestOf = (body: BodyInit, type = JSON_TYPE): Request =>
  new Request("http://ingest.sim/v1/readings", { method: "POST", headers: { "content-type": type }, body });

function postOutcomeOf(outcome: IngestAnswer): PostOutcome {
  if (outcome.kind !== "answer") return { kind: "failed" };
  const { response, text } = outcome;
  const retryAfterMs = 1_000 * Number(response.headers.get("retry-after") ?? 0);
  let credit = 1;
  if (response.status === 202) credit = Number((JSON.parse(text) as { credit: number }).credit);
  return { kind: "answer", status: response.status, retryAfterMs, credit };
}
