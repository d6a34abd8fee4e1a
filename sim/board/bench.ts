/**
 * A bench with running boards on it, for somebody who plays: what the air is like, what is plugged in, which network and
 * time the boards get. What is asked becomes an event of the scheduler like any other.
 */
import type { BenchAction, BenchBoard, BenchPort, BenchState } from "../../dashboard/ports.ts";
import type { Scheduler } from "../scheduler.ts";
import type { Board } from "./board.ts";
import type { Surroundings } from "./chip.ts";
import type { Climate } from "./dht22.ts";
import { linkStatus } from "./host.ts";
import type { Network } from "./network.ts";
import { type Weather, weatherOf } from "./weather.ts";
import { WorldServices } from "./world_services.ts";

/** How far ahead the time server of a bewitched board is. */
export const clockAheadMs = 365 * 86_400_000;
const NTP_PORT = 123;
/** The lamp's GPIO: the blue one on the usual development board. */
const LED_PIN = 2;
/** Boards that are switched off and on again stay dark for so long. */
const DARK_MS = 600;
/** Virtual time goes on although all boards are dark. */
const BEAT_MS = 1_000;
const LINES_MAX = 40;
const LINE_LENGTH_MAX = 300;

/** What somebody has done to one board. */
interface Hand {
  hasWiFi: boolean;
  hasSensor: boolean;
  aheadMs: number;
  climate: Climate | null;
  /** Readings in its flash that are not acknowledged, as it told last. */
  backlog: number | null;
  /** Its last words. */
  lines: string[];
}

export class Bench implements BenchPort {
  readonly #hands = new Map<string, Hand>();
  readonly #weather = new Map<string, Weather>();
  readonly #seed: number | string;
  #boards: readonly Board[] = [];
  #scheduler: Scheduler | null = null;
  #post: ((task: () => void | Promise<void>) => void) | null = null;

  /** `seed` is the boards', so that the bench knows their weather. */
  constructor(seed: number | string) {
    this.#seed = seed;
  }

  /** The surroundings of `device`: the given ones, but for what somebody has done. */
  surroundings(device: string, given: Partial<Surroundings>): Partial<Surroundings> {
    const hand = this.#hand(device);
    return {
      ...given,
      climate: (nowMs) => hand.climate ?? this.#air(device, nowMs),
      sensorFault: (nowMs) => hand.hasSensor ? given.sensorFault?.(nowMs) ?? null : { kind: "silent" },
      accessPoint: (nowMs) => hand.hasWiFi ? given.accessPoint?.(nowMs) ?? "open" : "absent",
    };
  }

  /** `given` with a time server that can be ahead. */
  network(given: Network, nowMs: () => number): Network {
    return {
      connect: (device, host, port, events) => given.connect(device, host, port, events),
      resolve: (name) => given.resolve(name),
      datagram: (device, host, port, bytes, answer) => {
        const { aheadMs } = this.#hand(device);
        if (port !== NTP_PORT || aheadMs === 0) return given.datagram(device, host, port, bytes, answer);
        const reply = new WorldServices(() => nowMs() + aheadMs).answer(port, bytes);
        if (reply !== null) this.#scheduler?.after(1, () => answer(reply));
      },
    };
  }

  /** What a board told on its serial port. */
  heard(device: string, line: string): void {
    const hand = this.#hand(device);
    hand.lines.push(line.slice(0, LINE_LENGTH_MAX));
    if (hand.lines.length > LINES_MAX) hand.lines.shift();
    const pending = /"pending":(\d+)/.exec(line)?.[1];
    if (pending !== undefined) hand.backlog = Number(pending);
  }

  /** The boards run; `post` puts a task on their scheduler from outside. */
  attach(
    boards: readonly Board[],
    scheduler: Scheduler,
    post: (task: () => void | Promise<void>) => void,
  ): void {
    this.#boards = boards;
    this.#scheduler = scheduler;
    this.#post = post;
    const beat = () => void scheduler.after(BEAT_MS, beat);
    beat();
  }

  state(): BenchState {
    const nowMs = this.#scheduler?.nowMs ?? 0;
    return { nowMs, boards: this.#boards.map((board) => this.#stateOf(board, nowMs)) };
  }

  act(action: BenchAction): Promise<string | null> {
    const board = this.#boards.find(({ device }) => device === action.device);
    if (board === undefined || this.#post === null) {
      return Promise.resolve(`There is no board ${action.device}.`);
    }
    const done = Promise.withResolvers<string | null>();
    this.#post(async () => {
      await this.#do(board, action);
      done.resolve(null);
    });
    return done.promise;
  }

  async #do(board: Board, action: BenchAction): Promise<void> {
    const hand = this.#hand(board.device);
    switch (action.kind) {
      case "air":
        hand.climate = action.temperatureC === null || action.humidityPct === null ? null : {
          temperatureTenthsC: Math.round(action.temperatureC * 10),
          humidityTenthsPct: Math.round(action.humidityPct * 10),
        };
        return;
      case "wifi":
        hand.hasWiFi = action.on;
        return;
      case "sensor":
        hand.hasSensor = action.on;
        return;
      case "clock":
        // A board asks for the time when it starts, then once an hour: so it starts.
        hand.aheadMs = action.on ? clockAheadMs : 0;
        return this.#powerCycle(board);
      case "power":
        if (action.on && !board.on) await board.powerOn();
        else if (!action.on && board.on) board.powerCut();
        return;
      case "reset":
        return this.#powerCycle(board);
    }
  }

  #powerCycle(board: Board): void {
    if (!board.on) return;
    board.powerCut();
    this.#scheduler?.after(DARK_MS, async () => {
      if (!board.on) await board.powerOn();
    });
  }

  #stateOf(board: Board, nowMs: number): BenchBoard {
    const hand = this.#hand(board.device);
    const climate = hand.climate ?? this.#air(board.device, nowMs);
    return {
      device: board.device,
      isPowered: board.on,
      hasWiFi: hand.hasWiFi,
      isLinked: board.linkStatus === linkStatus.gotAddress,
      hasSensor: hand.hasSensor,
      clockAheadMs: hand.aheadMs,
      temperatureC: climate.temperatureTenthsC / 10,
      humidityPct: climate.humidityTenthsPct / 10,
      isHeld: hand.climate !== null,
      boots: board.bootCount,
      backlog: hand.backlog,
      lines: [...hand.lines],
      led: board.pin(LED_PIN) === 1,
    };
  }

  #air(device: string, nowMs: number): Climate {
    const weather = this.#weather.get(device) ?? weatherOf(this.#seed, device);
    this.#weather.set(device, weather);
    return weather.at(nowMs);
  }

  #hand(device: string): Hand {
    const known = this.#hands.get(device);
    if (known !== undefined) return known;
    const hand = { hasWiFi: true, hasSensor: true, aheadMs: 0, climate: null, backlog: null, lines: [] };
    this.#hands.set(device, hand);
    return hand;
  }
}
