/**
 * A board of a simulated fleet, whatever runs on it: the model of `model_board.ts`, or the project's firmware in
 * MicroPython (`micropython_board.ts`).
 */
import type { WorldSample } from "./oracle_world.ts";

export interface SimulatedBoard {
  readonly device: string;
  /** Everything that was ever measured, with what became of it. */
  readonly samples: readonly WorldSample[];
  /** Readings that still have to reach the log. */
  readonly unsentCount: number;
  /** Harmless when it is on. */
  powerOn(): void | Promise<void>;
  /** What was not yet in flash is gone. Harmless when it is off. */
  powerCut(): void;
  /** Somebody flashes the chip: what was kept is gone. */
  eraseFlash(): void;
  /** The power goes in the middle of the next write to flash, and comes back. */
  tearNextFlush(): void;
  /** Takes back what was planned against it. */
  calm(): void;
  /** No more slots; what is there is still sent. */
  stopSampling(): void;
  /** What has stopped its program although nothing may, null if nothing has. */
  readonly failure: Error | null;
}
