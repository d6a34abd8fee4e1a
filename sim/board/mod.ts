/**
 * The virtual ESP32 with a DHT22: the project's own firmware in real MicroPython, in virtual time.
 *
 * ```ts ignore
 * const scheduler = new Scheduler({ startMs });
 * const network = new HttpNetwork({ scheduler, handler: (request) => app.fetch(request) });
 * const runtime = await loadMicroPythonRuntime();
 * const board = createBoard(scheduler, { device: "board-1", seed: 1, network, runtime, settings: { every_ms: 2000 } });
 * await board.powerOn();
 * await scheduler.runUntil(startMs + 3_600_000);
 * board.check();
 * board.powerCut();
 * ```
 */
export { Bench } from "./bench.ts";
export { Board, type BoardOptions, type Program } from "./board.ts";
export { type Surroundings } from "./chip.ts";
export { createBoard, type CreateBoardOptions } from "./create_board.ts";
export { type Climate, encodeFrame, type SensorFault } from "./dht22.ts";
export { type Firmware, type FirmwareSettings, installFirmware, loadFirmware } from "./firmware.ts";
export { type CutPoint, Flash, type PlannedCut } from "./flash.ts";
export type { BoardHost, PinMode, ResetCause } from "./host.ts";
export { type HttpFault, type HttpHandler, HttpNetwork, type HttpNetworkOptions } from "./http_network.ts";
export {
  loadMicroPythonRuntime,
  type MicroPythonOptions,
  MicroPythonProgram,
  type MicroPythonRuntime,
  Stuck,
} from "./micropython_program.ts";
export { createModelBoard, type CreateModelBoardOptions } from "./model/create_model_board.ts";
export type { Connection, ConnectionEvents, ConnectionFailure, Network } from "./network.ts";
export { type PinChange, type PinListener, PinTrace } from "./pin_trace.ts";
export type { AccessPointState } from "./radio.ts";
export { type Weather, weatherOf } from "./weather.ts";
