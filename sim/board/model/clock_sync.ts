/** The model's idea of the time; see `firmware/clock_sync.py` for the reasons. */
const EARLIEST_MS = 1_735_689_600_000;
const LATEST_MS = 4_102_444_800_000;
const NOISE_MS = 20;
const SLEW_MS = 40;
const STEP_MS = 60_000;
const NTP_HOLDS_MS = 86_400_000;

export type Learned = "nothing" | "first" | "later" | "reboot";

export class ModelClockSync {
  offsetMs: number | null = null;
  #goalMs = 0;
  #ntpAtMs: number | null = null;
  #aheadCount = 0;

  learn(unixMs: number, uptimeMs: number, fromNtp: boolean): Learned {
    if (unixMs < EARLIEST_MS || unixMs >= LATEST_MS) return "nothing";
    if (fromNtp) this.#ntpAtMs = uptimeMs;
    else if (this.#ntpAtMs !== null && uptimeMs - this.#ntpAtMs < NTP_HOLDS_MS) return "nothing";
    const goalMs = unixMs - uptimeMs;
    if (this.offsetMs === null) {
      this.offsetMs = this.#goalMs = goalMs;
      return "first";
    }
    const errorMs = goalMs - this.offsetMs;
    if (errorMs < -STEP_MS) return fromNtp || ++this.#aheadCount > 1 ? "reboot" : "nothing";
    this.#aheadCount = 0;
    if (Math.abs(errorMs) >= NOISE_MS) this.#goalMs = goalMs;
    return "later";
  }

  advance(): boolean {
    if (this.offsetMs === null || this.#goalMs === this.offsetMs) return false;
    const errorMs = this.#goalMs - this.offsetMs;
    this.offsetMs += errorMs <= STEP_MS ? Math.max(-SLEW_MS, Math.min(SLEW_MS, errorMs)) : errorMs;
    return true;
  }
}
