/**
 * The station side of Wi-Fi: joining takes a while and can fail, an access point can go away and come back (the ESP32's
 * driver then joins again by itself), a lease can be missing.
 */
import { below } from "../../core/ports/random.ts";
import type { Random } from "../../core/ports/random.ts";
import type { Scheduler } from "../scheduler.ts";
import { type HostRadio, linkStatus } from "./host.ts";

/** What the access point does. `noLease`: joined, but no address. `busy`: the driver itself refuses to start joining. */
export type AccessPointState = "open" | "absent" | "refuses" | "noLease" | "busy";

export interface RadioWorld {
  accessPoint(nowMs: number): AccessPointState;
  /** Shortest and longest time to join; 300–900 ms by default. */
  readonly joinMs: readonly [number, number];
}

export class Radio implements HostRadio {
  readonly #scheduler: Scheduler;
  readonly #world: RadioWorld;
  readonly #random: Random;
  readonly #isAlive: () => boolean;
  #active = false;
  #wanted = false;
  #joined = false;
  #attempt = 0;
  #failure: number | null = null;

  constructor(scheduler: Scheduler, world: RadioWorld, random: Random, isAlive: () => boolean) {
    this.#scheduler = scheduler;
    this.#world = world;
    this.#random = random;
    this.#isAlive = isAlive;
  }

  setActive(on: boolean): void {
    this.#active = on;
    if (!on) this.leave();
  }

  active(): boolean {
    return this.#active;
  }

  join(_ssid: string, _key: string): boolean {
    if (this.#world.accessPoint(this.#scheduler.nowMs) === "busy") return false;
    this.#wanted = this.#active;
    this.#joined = false;
    this.#failure = null;
    this.#plan();
    return true;
  }

  leave(): void {
    this.#wanted = this.#joined = false;
    this.#failure = null;
    this.#attempt++;
  }

  status(): number {
    if (!this.#wanted) return linkStatus.idle;
    this.#notice();
    if (this.#joined) {
      return this.#world.accessPoint(this.#scheduler.nowMs) === "noLease"
        ? linkStatus.connecting
        : linkStatus.gotAddress;
    }
    return this.#failure ?? linkStatus.connecting;
  }

  address(): string {
    return this.status() === linkStatus.gotAddress ? "10.0.0.2" : "0.0.0.0";
  }

  /** True when packets pass. */
  linked(): boolean {
    return this.status() === linkStatus.gotAddress;
  }

  /** The access point may have gone since the last look; then the driver starts to join again. */
  #notice(): void {
    if (!this.#joined) return;
    const state = this.#world.accessPoint(this.#scheduler.nowMs);
    if (state === "open" || state === "noLease") return;
    this.#joined = false;
    this.#failure = linkStatus.accessPointGone;
    this.#plan();
  }

  #plan(): void {
    const attempt = ++this.#attempt;
    const [shortest, longest] = this.#world.joinMs;
    const joinMs = shortest + below(this.#random, longest - shortest + 1);
    this.#scheduler.after(joinMs, () => {
      if (!this.#isAlive() || attempt !== this.#attempt || !this.#wanted) return;
      const state = this.#world.accessPoint(this.#scheduler.nowMs);
      this.#joined = state === "open" || state === "noLease";
      if (this.#joined) {
        this.#failure = null;
        return;
      }
      this.#failure = state === "absent" ? linkStatus.noAccessPoint : linkStatus.wrongPassword;
      this.#plan();
    });
  }
}
