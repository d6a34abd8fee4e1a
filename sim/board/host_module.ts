/**
 * The Python module `host`, which the shims are written on. Integers cross as 32 bits; bytes cross as addresses in the
 * interpreter's memory and are read or filled before anything waits.
 */
import { errno } from "./errno.ts";
import { type BoardHost, poll, type ResetCause } from "./host.ts";
import type { MicroPythonProgram } from "./micropython_program.ts";
import type { Realm } from "./realm.ts";

/** MicroPython's `machine.*_RESET` on the ESP32. */
const numberOfCause: Readonly<Record<ResetCause, number>> = {
  power: 1,
  hard: 2,
  watchdog: 3,
  deepSleep: 4,
  soft: 5,
};
const causeOfNumber: Readonly<Record<number, ResetCause>> = { 2: "hard", 5: "soft" };

/** Standard input among the sockets, whose numbers begin at 1. */
const STANDARD_INPUT = 0;

export function hostModule(host: BoardHost, realm: Realm, program: MicroPythonProgram): object {
  const registered = new Map<number, number>();
  const bytesAt = (address: number, length: number) => realm.bytes().slice(address, address + length);
  const fill = (address: number, received: Uint8Array | number) => {
    if (typeof received === "number") return received;
    realm.bytes().set(received, address);
    return received.length;
  };
  const ready = (id: number, events: number) =>
    id !== STANDARD_INPUT ? host.sockets.ready(id, events) : program.hasInput ? events & poll.in : 0;
  const anyIsReady = () =>
    [...registered].some(([id, events]) => ready(id, events | poll.error | poll.hangUp) !== 0);
  return {
    block: (ms: number, socket: number, events: number) => program.block(ms, socket, events, anyIsReady),
    crashed: (text: string) => program.crashed(text),
    ...clockAndPower(host, bytesAt),
    ...pins(host, fill, program),
    ...radio(host),
    random32: () => host.entropy.uint32() | 0,
    flash_capacity: () => host.flash.capacityBytes,
    flash_used: () => host.flash.usedBytes(),
    // sockets
    resolve: (name: string) => host.sockets.resolve(name) ?? "",
    open: (datagram: number) => host.sockets.open(datagram ? "datagram" : "stream"),
    connect: (id: number, name: string, port: number) => host.sockets.connect(id, name, port),
    error: (id: number) => host.sockets.error(id),
    ready,
    send: (id: number, address: number, length: number) => host.sockets.send(id, bytesAt(address, length)),
    send_to: (id: number, address: number, length: number, name: string, port: number) =>
      host.sockets.sendTo(id, bytesAt(address, length), name, port),
    receive: (id: number, address: number, length: number) => fill(address, host.sockets.receive(id, length)),
    close: (id: number) => {
      registered.delete(id);
      host.sockets.close(id);
    },
    poll_set: (id: number, events: number) => void registered.set(id, events),
    poll_remove: (id: number) => void registered.delete(id),
    poll_any: anyIsReady,
  };
}

function clockAndPower(host: BoardHost, bytesAt: (address: number, length: number) => Uint8Array): object {
  return {
    rtc: () => host.clock.rtcSeconds(),
    rtc_set: (seconds: number) => host.clock.setRtcSeconds(seconds),
    rtc_memory: () =>
      [...host.power.memory.read()].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    rtc_memory_set: (address: number, length: number) => host.power.memory.write(bytesAt(address, length)),
    unique_id: () => host.power.uniqueId,
    cause: () => numberOfCause[host.power.cause],
    reset: (cause: number) => host.power.reset(causeOfNumber[cause] ?? "hard"),
    deep_sleep: (ms: number) => host.power.deepSleep(ms),
    watchdog: (ms: number) => host.power.startWatchdog(ms),
    feed: () => host.power.feedWatchdog(),
  };
}

/** `machine.Pin`'s modes and pulls on the ESP32 (ports/esp32/machine_pin.c). */
const [OUT, OPEN_DRAIN, PULL_DOWN, PULL_UP] = [3, 7, 1, 2] as const;

function pins(
  host: BoardHost,
  fill: (address: number, bytes: Uint8Array) => number,
  program: MicroPythonProgram,
): object {
  return {
    /** A mode of 0 or a pull of 0 leaves it as an input, without pulls; see `shims/machine.py` for the numbers. */
    pin_mode: (pin: number, mode: number, pull: number) =>
      program.hold(host.pins.configure(pin, {
        direction: mode === OPEN_DRAIN ? "openDrain" : mode === OUT ? "out" : "in",
        pullUp: (pull & PULL_UP) !== 0,
        pullDown: (pull & PULL_DOWN) !== 0,
      })),
    /** Three arguments, so that Python can be suspended here (see realm.ts). */
    pin_write: (pin: number, level: number, _: number) =>
      program.hold(host.pins.write(pin, level === 0 ? 0 : 1)),
    pin_read: (pin: number) => host.pins.read(pin),
    /** 0, or the error that the C routine raises. */
    dht: (pin: number, address: number) => {
      const frame = host.pins.readDht(pin);
      if (frame === null) return errno.ETIMEDOUT;
      fill(address, frame);
      return 0;
    },
  };
}

function radio(host: BoardHost): object {
  return {
    wlan_active: (on: number) => {
      if (on >= 0) host.radio.setActive(on === 1);
      return host.radio.active();
    },
    wlan_join: (ssid: string, key: string) => host.radio.join(ssid, key),
    wlan_leave: () => host.radio.leave(),
    wlan_status: () => host.radio.status(),
    wlan_address: () => host.radio.address(),
  };
}
