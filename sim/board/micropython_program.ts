/**
 * A boot of MicroPython on the chip: a new interpreter, the shims, the files of the flash, then `main`.
 *
 * Python takes no virtual time; only `block` does, the one host function that suspends. An event that wakes Python lasts
 * until Python blocks again, so that the scheduler's order is the only order.
 */
import { assert } from "../../core/assert.ts";
import type { Program } from "./board.ts";
import { type Collect, makeCollectorFactory } from "./collector.ts";
import { PowerLost } from "./flash.ts";
import type { Flash } from "./flash.ts";
import { hookFlash, restoreFiles } from "./flash_hooks.ts";
import type { BoardHost } from "./host.ts";
import { hostModule } from "./host_module.ts";
import { createRealm, type Interrupted, type Realm, type WasmFunction } from "./realm.ts";
import { CTRL_A, CTRL_C, SerialInput } from "./serial_input.ts";
import { loadShims, type Shims } from "./shims.ts";
import type { Planned } from "../scheduler.ts";

/** The firmware makes no progress: it calls the host again and again without waiting. */
export class Stuck extends Error {
  override name = "Stuck";
}

/** The firmware's main program came to an end, which it never should. */
export class FirmwareEnded extends Error {
  override name = "FirmwareEnded";
}

/** Polls of the clock at one instant that are free; each further one costs 1 ms, so busy waits end. */
const FREE_CLOCK_POLLS = 200;
/** Host calls at one instant before the firmware counts as {@link Stuck}. The busiest honest instant has some 2,000. */
const CALLS_PER_INSTANT_MAX = 300_000;
/** Calls that a hanging firmware may still make to print its traceback. */
const CALLS_AFTER_INTERRUPT_MAX = 20_000;
/** Host calls at one instant that are free for a program that stands still; each further one costs 1 ms. */
const FREE_CALLS = 4_000;
/** Bytes printed at one instant that are free; more take the time that they need on the wire, at 115,200 baud. */
const FREE_BYTES = 16_384;
const BYTES_PER_MS = 11.52;
/** A board has 520 KiB, and what it imports takes more here. A program that grows without end ends in a MemoryError. */
const MEMORY_BYTES_MAX = 128 * 1024 * 1024;
/** Collections: one in so many safe points. Results don't depend on it. */
const SAFE_POINTS_PER_COLLECTION = 64;
/** `block`'s third argument where no C function is below and garbage may be collected (see collector.ts). */
const SAFE_POINT = 1;
/** `block`'s second argument for a wait that the program hasn't asked for. */
const PACING = -2;
const never = () => false;

export interface MicroPythonOptions {
  /** Collect at every n-th safe point (default 64). */
  readonly safePointsPerCollection?: number;
  /** What runs instead of `main` (default: import main). */
  readonly entry?: string;
  /** Goes straight to the raw REPL, without `main`: what follows a soft reset out of the raw REPL. */
  readonly rawRepl?: boolean;
  /** Called each time that Python is about to wait, with how often it has done so in this boot; may cut the power. */
  readonly onBlock?: (count: number) => void;
  /** Called when the interpreter is up, before the entry; for tools that want to look inside. */
  readonly onRealm?: (realm: Realm) => void;
  /**
   * For a board that somebody works with, not a simulated fleet (default false): it can be held at a byte or an edge, reads
   * its standard input, lets time pass when it polls or prints without end, and has bounded memory.
   */
  readonly standsStill?: boolean;
}

/** `mp_js_repl_process_char`'s way to ask for a soft reset (PYEXEC_FORCED_EXIT). */
const SOFT_RESET_BIT = 0x100;

/** What all boots share: compiled once. */
export interface MicroPythonRuntime {
  makeProgram(options?: MicroPythonOptions): MicroPythonProgram;
}

/** Before main, as on the ESP32; what goes wrong in it stops nothing. */
const BOOT = `
try:
    __import__('boot')
except BaseException as error:
    import sys
    sys.print_exception(error)
`;

const ENTRY = `
try:
    __import__('main')
except SystemExit:
    pass
except BaseException as error:
    import sys
    sys.print_exception(error)
    host.crashed(repr(error))
`;

/** Compiles the interpreter and finds what the collector needs (some 100 ms). */
export async function loadMicroPythonRuntime(): Promise<MicroPythonRuntime> {
  const makeCollector = await makeCollectorFactory();
  const shims = loadShims();
  return { makeProgram: (options = {}) => new MicroPythonProgram(makeCollector, shims, options) };
}

export class MicroPythonProgram implements Program {
  failure: Error | null = null;
  /** Collections so far. */
  collectionCount = 0;
  /** Times that Python has waited so far: the points at which a power cut can fall besides flash operations. */
  blockCount = 0;
  readonly #makeCollector: (realm: Realm) => Collect;
  readonly #shims: Shims;
  readonly #options: MicroPythonOptions;
  #host: BoardHost | null = null;
  #realm: Realm | null = null;
  #collect: Collect = () => {};
  /** Resolves the event that Python runs in: it has blocked again, or ended. */
  #rest: (() => void) | null = null;
  /** Rejects Python's wait: the power goes. */
  #abort: (() => void) | null = null;
  #suspended: Promise<void> | undefined;
  #clockPolls = 0;
  #calls = 0;
  /** Milliseconds that busy waiting has run ahead of the scheduler; the next waits are shorter by them. */
  #aheadMs = 0;
  #safePoints = 0;
  readonly #serial = new SerialInput();
  /** Python is in a call: main, or a line of the REPL. */
  #busy = false;
  #interrupted = false;
  #feeding = false;
  /** Tells a program that waits for serial input, if it does. */
  #onInput: (() => Promise<void> | void) | null = null;
  /** Host calls, and bytes printed, since Python last waited. */
  #callsAtInstant = 0;
  #printedAtInstant = 0;
  /** Ends Python's wait at once; null while it doesn't wait. */
  #wakeNow: (() => Promise<void> | void) | null = null;

  constructor(makeCollector: (realm: Realm) => Collect, shims: Shims, options: MicroPythonOptions) {
    this.#makeCollector = makeCollector;
    this.#shims = shims;
    this.#options = options;
  }

  /** Bytes of memory that the interpreter has now. */
  get memoryBytes(): number {
    return this.#realm?.memory.buffer.byteLength ?? 0;
  }

  async start(host: BoardHost): Promise<void> {
    this.#host = host;
    const realm = await createRealm({
      nowMs: () => host.clock.rtcSeconds() * 1000,
      ticksMs: () => this.#ticksMs(),
      random: host.entropy,
      output: (bytes) => this.#print(bytes, host),
      ...(this.#options.standsStill === true
        ? {
          standsStill: true,
          memoryBytesMax: MEMORY_BYTES_MAX,
          input: (bytesMax: number) => this.#read(bytesMax),
        }
        : {}),
      suspending: () => this.#takeSuspended(),
      wrapImports: (imports, realmOf) => {
        this.#countCalls(imports.env);
        hookFlash(imports, realmOf, host.flash as Flash);
      },
    });
    if (this.#host === null) return;
    this.#realm = realm;
    this.#collect = this.#makeCollector(realm);
    realm.files.mkdir("/.sim");
    realm.files.mkdir("/.sim/frozen");
    for (const [name, code] of this.#shims.modules) realm.files.writeFile(`/.sim/${name}`, code);
    restoreFiles(realm, host.flash as Flash);
    realm.registerModule("host", hostModule(host, realm, this));
    if (this.#options.standsStill === true) await realm.run(this.#shims.boot);
    else realm.runNow(this.#shims.boot);
    if (this.#host !== host) return;
    this.#options.onRealm?.(realm);
    const isRepl = this.#options.rawRepl === true || host.flash.read("/main.py") === null;
    const boot = host.flash.read("/boot.py") === null ? "" : BOOT;
    if (!isRepl) return this.#enter(() => realm.run(boot + (this.#options.entry ?? ENTRY)));
    await this.#startRepl(this.#options.rawRepl === true ? [CTRL_A] : [])
      .catch((error) => this.#failed(error));
  }

  /** Bytes of Python's heap in use after a collection, `gc.mem_alloc()`: while Python waits at a safe point. */
  heapUsedBytes(): number {
    const realm = this.#realm;
    assert(realm !== null, "only a running board has a heap");
    this.#collect();
    let bytes = 0;
    realm.registerModule("probe", { tell: (used: number) => void (bytes = used) });
    realm.runNow("import gc, probe\nprobe.tell(gc.mem_alloc())");
    return bytes;
  }

  /** True in the raw REPL. */
  get inRawRepl(): boolean {
    return this.#serial.raw;
  }

  /** Ctrl-C interrupts what runs; anything else waits until the REPL takes it. */
  async serialInput(bytes: Uint8Array): Promise<void> {
    for (const byte of bytes) {
      if (byte === CTRL_C && this.#busy) await this.#interrupt();
      else this.#serial.push(byte);
    }
    await this.#onInput?.();
    await this.#feedRepl();
  }

  end(): void {
    this.#host = null;
    this.#realm = null;
    const abort = this.#abort;
    this.#abort = null;
    abort?.();
    this.#settle();
  }

  /** Told by the entry: an exception reached the top. */
  crashed(text: string): void {
    this.failure = new FirmwareEnded(`the firmware ended with ${text}`);
  }

  /**
   * Waits `ms` (−1: for ever), or until socket `socket` (−1: any that is registered; 0: none) is ready for `events`.
   * Without a socket, `events` tells whether this is a safe point.
   */
  block(ms: number, socket: number, events: number, anyReady: () => boolean): void {
    const host = this.#host;
    assert(host !== null, "only a running board blocks");
    this.blockCount++;
    this.#options.onBlock?.(this.blockCount);
    if (this.#host === null) {
      this.#suspended = Promise.reject(new PowerLost("power cut as Python was about to wait"));
      return;
    }
    this.#calls = 0;
    if (socket !== PACING) this.#clockPolls = this.#callsAtInstant = this.#printedAtInstant = 0;
    const fromMs = host.clock.ticksMs();
    this.#suspended = new Promise((resolve, reject) => {
      let timer: Planned | null = null;
      const stop = () => {
        timer?.cancel();
        host.sockets.watch(null);
        this.#abort = this.#onInput = null;
      };
      const wake = (): Promise<void> | void => {
        if (this.#abort === null || this.#host !== host) return;
        stop();
        this.#wakeNow = null;
        this.#aheadMs = Math.max(0, this.#aheadMs - (host.clock.ticksMs() - fromMs));
        if (socket === 0 && events === SAFE_POINT) this.#collectSometimes();
        const rest = this.#untilRest();
        resolve();
        return rest;
      };
      this.#abort = () => {
        stop();
        reject(new PowerLost("power cut while waiting"));
      };
      this.#wakeNow = wake;
      if (ms >= 0) timer = host.clock.wake(this.#aheadMs + ms, wake);
      if (socket === 0 || socket === PACING) return;
      const isReady = () => socket < 0 ? anyReady() : host.sockets.ready(socket, events) !== 0;
      if (socket < 0) this.#onInput = () => isReady() ? wake() : undefined;
      host.sockets.watch(() => {
        if (!isReady()) return;
        host.sockets.watch(null);
        host.clock.wake(0, wake);
      });
    });
    this.#settle();
  }

  /** True if a program's read of standard input would return at once. */
  get hasInput(): boolean {
    return this.#serial.hasBytes;
  }

  /** Suspends Python, which calls the host now, until `held` settles; the event that it runs in lasts as long. */
  hold(held: void | Promise<void>): void {
    this.#suspended = this.#held(held);
  }

  #print(bytes: Uint8Array, host: BoardHost): void | Promise<void> {
    const held = this.#held(host.serial.write(bytes));
    this.#printedAtInstant += bytes.length;
    if (this.#options.standsStill !== true || this.#printedAtInstant <= FREE_BYTES) return held;
    const rest = () => {
      const ms = Math.ceil(this.#printedAtInstant / BYTES_PER_MS);
      this.#printedAtInstant = 0;
      return this.#pause(ms);
    };
    return held === undefined ? rest() : held.then(rest);
  }

  /** What a read of standard input gives: at least a byte, when there is one. */
  #read(bytesMax: number): Uint8Array | Promise<Uint8Array | Interrupted> {
    if (this.#serial.hasBytes) return this.#serial.read(bytesMax);
    this.block(-1, 0, 0, never);
    this.#onInput = () => this.#wakeNow?.();
    return (this.#takeSuspended() as Promise<void>).then(() => {
      return this.#serial.hasBytes ? this.#serial.read(bytesMax) : "interrupted";
    });
  }

  /** Lets time pass that the program hasn't asked for. */
  #pause(ms: number): Promise<void> {
    this.block(ms, PACING, 0, never);
    return this.#takeSuspended() as Promise<void>;
  }

  #held(held: void | Promise<void>): Promise<void> | undefined {
    if (!(held instanceof Promise) || this.#host === null) return undefined;
    return new Promise((resolve, reject) => {
      const abort = () => reject(new PowerLost("power cut while the program stood still"));
      this.#abort = abort;
      held.then(() => {
        if (this.#abort !== abort) return;
        this.#abort = null;
        resolve();
      });
    });
  }

  /** Enters Python; resolves when it waits, or has ended. */
  #enter(run: () => Promise<void>): Promise<void> {
    const rest = this.#untilRest();
    const host = this.#host;
    this.#busy = true;
    run().then(
      () => {
        this.#busy = false;
        if (this.#host !== host) return;
        if (this.#interrupted) this.failure = null;
        else this.failure ??= new FirmwareEnded("the firmware's main program ended");
        return this.#startRepl([]);
      },
    ).catch((error) => this.#failed(error)).then(() => this.#settle());
    return rest;
  }

  #failed(error: unknown): void {
    this.#busy = false;
    if (!(error instanceof PowerLost)) {
      this.failure ??= error instanceof Error ? error : new Error(String(error));
    }
  }

  /** What Ctrl-C does: a KeyboardInterrupt at the next bytecode, at once if Python waits. */
  async #interrupt(): Promise<void> {
    this.#interrupted = true;
    this.#realm?.exports.mp_sched_keyboard_interrupt?.();
    await this.#wakeNow?.();
  }

  async #startRepl(bytes: readonly number[]): Promise<void> {
    await this.#realm?.startRepl();
    this.#serial.start(bytes);
    await this.#feedRepl();
  }

  /** Hands waiting bytes to the REPL, one after the other, until it is busy or there are none. */
  async #feedRepl(): Promise<void> {
    const host = this.#host;
    if (this.#feeding || host === null) return;
    this.#feeding = true;
    while (!this.#busy && this.#host === host) {
      const next = this.#serial.take();
      if (next === null) break;
      if (typeof next === "number") await this.#feedByte(next, host);
      else host.serial.write(next);
    }
    this.#feeding = false;
  }

  /** Resolves when Python waits, or has taken the byte. */
  #feedByte(byte: number, host: BoardHost): Promise<void> {
    this.#busy = true;
    const rest = this.#untilRest();
    const taken = async (result: number) => {
      this.#busy = false;
      if ((result & SOFT_RESET_BIT) !== 0 && this.#host === host) softReset(host);
      // If the byte's line has waited, the event that woke it lasts until the bytes after it are taken, too.
      const woken = this.#rest;
      this.#rest = null;
      await this.#feedRepl();
      woken?.();
    };
    (this.#realm as Realm).replByte(byte).then(taken, (error) => {
      this.#failed(error);
      this.#settle();
    });
    return rest;
  }

  #untilRest(): Promise<void> {
    return new Promise((resolve) => this.#rest = resolve);
  }

  #settle(): void {
    const rest = this.#rest;
    this.#rest = null;
    rest?.();
  }

  #takeSuspended(): Promise<void> | undefined {
    const suspended = this.#suspended;
    this.#suspended = undefined;
    return suspended;
  }

  #collectSometimes(): void {
    if (++this.#safePoints % (this.#options.safePointsPerCollection ?? SAFE_POINTS_PER_COLLECTION) !== 0) {
      return;
    }
    this.#collect();
    this.collectionCount++;
  }

  #ticksMs(): number | Promise<number> {
    this.#count();
    if (++this.#clockPolls > FREE_CLOCK_POLLS) {
      if (this.#options.standsStill === true) {
        return this.#pause(1).then(() => this.#host?.clock.ticksMs() ?? 0);
      }
      this.#aheadMs++;
    }
    return (this.#host?.clock.ticksMs() ?? 0) + this.#aheadMs;
  }

  #countCalls(env: Record<string, WasmFunction>): void {
    for (const name of ["call0", "call1", "call2", "calln"]) {
      const call = env[name] as WasmFunction;
      env[name] = (...args) => {
        this.#count();
        call(...args);
        this.#pace();
      };
    }
  }

  /** Polling costs time, so that what is waited for comes. */
  #pace(): void {
    if (this.#options.standsStill !== true || this.#suspended !== undefined) return;
    if (++this.#callsAtInstant > FREE_CALLS && this.#host !== null) this.block(1, PACING, 0, never);
  }

  /**
   * Past the first limit Python gets a KeyboardInterrupt, so that its traceback tells where it hangs. Past the second one
   * this throws out of a raw import: Python can't catch that, not even with `except BaseException`.
   */
  #count(): void {
    if (++this.#calls <= CALLS_PER_INSTANT_MAX) return;
    if (this.#calls === CALLS_PER_INSTANT_MAX + 1) this.#realm?.exports.mp_sched_keyboard_interrupt?.();
    if (this.#calls <= CALLS_PER_INSTANT_MAX + CALLS_AFTER_INTERRUPT_MAX) return;
    this.failure = new Stuck(
      `${this.#calls} calls at ${this.#host?.clock.ticksMs()} ms of the boot without waiting: the firmware hangs`,
    );
    throw this.failure;
  }
}

function softReset(host: BoardHost): void {
  host.serial.write(new TextEncoder().encode("MPY: soft reboot\r\n"));
  host.power.reset("soft");
}
