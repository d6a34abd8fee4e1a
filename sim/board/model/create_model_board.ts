import type { Scheduler } from "../../scheduler.ts";
import { Board, type BoardOptions } from "../board.ts";
import type { Surroundings } from "../chip.ts";
import type { FirmwareSettings } from "../firmware.ts";
import { weatherOf } from "../weather.ts";
import { ModelProgram } from "./program.ts";
import { ModelRing } from "./ring.ts";

export interface CreateModelBoardOptions
  extends Omit<BoardOptions, "surroundings" | "makeProgram" | "flash"> {
  /** As of the real board; what the model lacks (see `program.ts`) is ignored. */
  readonly settings?: FirmwareSettings;
  readonly surroundings?: Partial<Surroundings>;
}

/** A board that runs the firmware's model: same interface, same requests, about a quarter of the processor time. */
export function createModelBoard(scheduler: Scheduler, options: CreateModelBoardOptions): Board {
  const { settings = {}, surroundings, ...rest } = options;
  const weather = weatherOf(rest.seed, rest.device);
  const url = new URL(settings.ingest_url ?? "http://ingest.sim");
  const ring = new ModelRing();
  const model = {
    device: settings.device ?? rest.device,
    host: url.hostname,
    port: url.port === "" ? 80 : Number(url.port),
    path: url.pathname === "/" ? "/v1/readings" : url.pathname,
    key: settings.key ?? "",
    everyMs: settings.every_ms ?? 10_000,
    ntpHost: settings.ntp_host ?? "pool.ntp.org",
    sensorPin: settings.sensor_pin ?? 15,
  };
  return new Board(scheduler, {
    ...rest,
    makeProgram: () => new ModelProgram(ring, model),
    surroundings: {
      climate: (nowMs) => weather.at(nowMs),
      sensorFault: () => null,
      accessPoint: () => "open",
      ...surroundings,
    },
  });
}
