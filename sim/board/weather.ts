/**
 * The air around a device over time, in tenths: a yearly and a daily curve, slow noise, and humidity against temperature.
 * Integers and tables only (no `Math.sin`, whose last bits differ between machines), so a seed gives the same weather
 * everywhere.
 */
import { below } from "../../core/ports/random.ts";
import { seededRandom } from "../random.ts";
import type { Climate } from "./dht22.ts";

export interface Weather {
  at(unixMs: number): Climate;
}

/** A quarter of a sine in thousandths, at 0°, 7.5° … 90°. */
const QUARTER = [0, 131, 259, 383, 500, 609, 707, 793, 866, 924, 966, 991, 1000] as const;
const STEPS = 4 * (QUARTER.length - 1);

/** The sine, in thousandths, of `part` ÷ `whole` of a circle, interpolated between table entries. */
function sineThousandths(part: number, whole: number): number {
  const position = part * STEPS;
  const step = Math.floor(position / whole);
  const rest = position - step * whole;
  const from = tableSine(step % STEPS);
  const to = tableSine((step + 1) % STEPS);
  return from + Math.trunc((to - from) * rest / whole);
}

function tableSine(step: number): number {
  const last = QUARTER.length - 1;
  const quarter = Math.floor(step / last);
  const within = step - quarter * last;
  const value = QUARTER[quarter % 2 === 0 ? within : last - within] as number;
  return quarter < 2 ? value : -value;
}

const DAY_MS = 86_400_000;
const YEAR_MS = 365 * DAY_MS;
const NOISE_STEP_MS = 600_000;

/** The weather of `device` under `seed`. */
export function weatherOf(seed: number | string, device: string): Weather {
  const random = seededRandom(seed, "weather", device);
  const meanTenthsC = 120 + below(random, 100);
  const yearTenthsC = 30 + below(random, 60);
  const dayTenthsC = 15 + below(random, 45);
  const phaseMs = below(random, 3_600_000);
  const noiseC = smoothNoise(seed, device, "temperature");
  const noisePct = smoothNoise(seed, device, "humidity");
  return {
    at(unixMs) {
      const year = sineThousandths((unixMs + 285 * DAY_MS) % YEAR_MS, YEAR_MS);
      const day = sineThousandths((unixMs + phaseMs + DAY_MS * 5 / 8) % DAY_MS, DAY_MS);
      const temperatureTenthsC = clamp(
        meanTenthsC + Math.trunc((yearTenthsC * year + dayTenthsC * day) / 1000) + noiseC(unixMs),
        -400,
        800,
      );
      const humidityTenthsPct = clamp(
        550 - Math.trunc(dayTenthsC * day / 500) - 2 * noisePct(unixMs),
        150,
        980,
      );
      return { temperatureTenthsC, humidityTenthsPct };
    },
  };
}

/** −10 … 10, drawn every ten minutes, linear in between. */
function smoothNoise(seed: number | string, device: string, name: string): (unixMs: number) => number {
  const drawn = (step: number) => below(seededRandom(seed, "weather", device, name, step), 21) - 10;
  let span = { step: -1, from: 0, to: 0 };
  return (unixMs) => {
    const step = Math.floor(unixMs / NOISE_STEP_MS);
    if (span.step !== step) span = { step, from: drawn(step), to: drawn(step + 1) };
    return span.from + Math.trunc((span.to - span.from) * (unixMs - step * NOISE_STEP_MS) / NOISE_STEP_MS);
  };
}

const clamp = (value: number, min: number, max: number) => Math.min(max, Math.max(min, value));
