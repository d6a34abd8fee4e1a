import type { Scheduler } from "../scheduler.ts";
import { Board, type BoardOptions } from "./board.ts";
import type { Surroundings } from "./chip.ts";
import { type Firmware, type FirmwareSettings, installFirmware, loadFirmware } from "./firmware.ts";
import type { MicroPythonOptions, MicroPythonProgram, MicroPythonRuntime } from "./micropython_program.ts";
import { weatherOf } from "./weather.ts";

export interface CreateBoardOptions extends Omit<BoardOptions, "surroundings" | "makeProgram"> {
  /** From `loadMicroPythonRuntime()`, once for all boards. */
  readonly runtime: MicroPythonRuntime;
  /** Merged over: the board's device name, and `http://ingest.sim` as the ingest address. */
  readonly settings?: FirmwareSettings;
  /** Merged over: the device's own weather, a good sensor, an open access point. */
  readonly surroundings?: Partial<Surroundings>;
  /** Other files than the project's own firmware. */
  readonly firmware?: Firmware;
  readonly python?: MicroPythonOptions;
}

/** A board with the firmware in its flash, without power yet. Files that its flash already holds stay, but for those. */
export function createBoard(scheduler: Scheduler, options: CreateBoardOptions): Board {
  const { runtime, settings, surroundings, firmware, python, ...rest } = options;
  const weather = weatherOf(rest.seed, rest.device);
  let last: MicroPythonProgram | null = null;
  const board = new Board(scheduler, {
    ...rest,
    makeProgram: (cause) => {
      const rawRepl = cause === "soft" && last?.inRawRepl === true;
      return last = runtime.makeProgram({ ...python, rawRepl });
    },
    surroundings: {
      climate: (nowMs) => weather.at(nowMs),
      sensorFault: () => null,
      accessPoint: () => "open",
      ...surroundings,
    },
  });
  installFirmware(board.flash, firmware ?? loadFirmware(), {
    device: rest.device,
    ingest_url: "http://ingest.sim",
    ...settings,
  });
  return board;
}
