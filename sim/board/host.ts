/**
 * What a program on the board can reach: its chip. One implementation (`chip.ts`) carries two programs: the project's
 * firmware in MicroPython (`micropython_program.ts`) and its model in TypeScript (`model_program.ts`).
 *
 * Nothing here blocks. A program waits by planning a wake-up on its clock or by watching its sockets.
 */
import type { Random } from "../../core/ports/random.ts";
import type { EventTask, Planned } from "../scheduler.ts";

/** Why the chip started, as MicroPython's `machine.reset_cause()` tells it on an ESP32. */
export type ResetCause = "power" | "hard" | "watchdog" | "deepSleep" | "soft";

export interface BoardHost {
  readonly clock: HostClock;
  readonly radio: HostRadio;
  readonly sockets: HostSockets;
  readonly flash: HostFlash;
  readonly pins: HostPins;
  readonly serial: HostSerial;
  readonly power: HostPower;
  /** The chip's own source of entropy. */
  readonly entropy: Random;
}

export interface HostClock {
  /** Milliseconds since this boot; not yet wrapped (MicroPython's `ticks_ms` wraps at 2^30). */
  ticksMs(): number;
  /** Seconds since 2000-01-01 by the real-time clock: 0 at power-up, kept over every other reset. */
  rtcSeconds(): number;
  setRtcSeconds(seconds: number): void;
  /** Runs `task` after `ms`, unless this boot has ended by then. */
  wake(ms: number, task: EventTask): Planned;
}

/** MicroPython's `network.STAT_*` on the ESP32 (ports/esp32/modnetwork_globals.h). */
export const linkStatus = {
  idle: 1000,
  connecting: 1001,
  gotAddress: 1010,
  accessPointGone: 200,
  noAccessPoint: 201,
  wrongPassword: 202,
} as const;

export interface HostRadio {
  setActive(on: boolean): void;
  active(): boolean;
  /** Starts joining; the outcome shows in {@link HostRadio.status}. False: the driver is busy. */
  join(ssid: string, key: string): boolean;
  leave(): void;
  /** One of {@link linkStatus}. */
  status(): number;
  /** The address of this board, "0.0.0.0" without a lease. */
  address(): string;
}

/** Events of `select.poll`. */
export const poll = { in: 1, out: 4, error: 8, hangUp: 16 } as const;

export type SocketKind = "stream" | "datagram";

/** Errors are negative Linux numbers where a number is returned; see `errno.ts`. */
export interface HostSockets {
  open(kind: SocketKind): number;
  /** Starts connecting; 0, or the number of an error that shows at once. */
  connect(id: number, host: string, port: number): number;
  /** Bytes taken (may be fewer than offered), or a negative error. */
  send(id: number, bytes: Uint8Array): number;
  sendTo(id: number, bytes: Uint8Array, host: string, port: number): number;
  /** At most `bytesMax`; empty at the end of the stream; a negative error (EAGAIN: nothing yet). */
  receive(id: number, bytesMax: number): Uint8Array | number;
  /** Which of `events` hold (errors and hang-ups always tell). */
  ready(id: number, events: number): number;
  /** The error that the socket has met, 0 if none. */
  error(id: number): number;
  close(id: number): void;
  /** Looks a name up as `getaddrinfo` does; null: it can't be found. */
  resolve(name: string): string | null;
  /** Calls `listener` whenever some socket may have become ready; one at a time. */
  watch(listener: (() => void) | null): void;
}

/** The durable files. `commit`, `rename` and `remove` survive a power cut once they have returned. */
export interface HostFlash {
  read(path: string): Uint8Array | null;
  paths(): readonly string[];
  commit(path: string, content: Uint8Array): void;
  rename(from: string, to: string): void;
  remove(path: string): void;
  readonly capacityBytes: number;
  usedBytes(): number;
}

/** How a pin is set up; the numbers are those of `machine.Pin`'s modes and pulls on the ESP32. */
export interface PinMode {
  readonly direction: "in" | "out" | "openDrain";
  readonly pullUp: boolean;
  readonly pullDown: boolean;
}

export interface HostPins {
  /** Sets a pin up; until then it is an input without pulls. A promise holds the program as {@link HostSerial.write} does. */
  configure(pin: number, mode: PinMode): void | Promise<void>;
  /** Drives a pin. A promise holds the program as {@link HostSerial.write} does. */
  write(pin: number, level: 0 | 1): void | Promise<void>;
  read(pin: number): 0 | 1;
  /**
   * One exchange with a DHT22 on `pin`, as the firmware's C routine does it: five bytes as they came over the wire
   * (unchecked), or null when the sensor did not answer in time. Takes {@link DHT_READ_MS} of the board's time, which
   * the program has to let pass.
   */
  readDht(pin: number): Uint8Array | null;
}

export interface HostSerial {
  /** A promise holds a program that can stand still (MicroPython can, the model goes on) at this write until it settles. */
  write(bytes: Uint8Array): void | Promise<void>;
}

export interface HostPower {
  readonly cause: ResetCause;
  /** Six bytes, as the chip's MAC address, in hexadecimal. */
  readonly uniqueId: string;
  /** Ends this boot; the next one starts with `cause`. */
  reset(cause: ResetCause): void;
  /** Ends this boot; wakes after `ms`. */
  deepSleep(ms: number): void;
  /** From now on a reset follows when {@link HostPower.feedWatchdog} isn't called for `ms`. */
  startWatchdog(ms: number): void;
  feedWatchdog(): void;
  /** 2,048 bytes at most, kept over every reset but power loss. */
  readonly memory: { read(): Uint8Array; write(bytes: Uint8Array): void };
}
