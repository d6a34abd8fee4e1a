/**
 * The air at the sensor over simulated time, from a CSV file: `seconds,temperature_c,humidity_pct`. Each line holds from
 * its second on; an empty cell leaves its channel as it was. The sensor has a resolution of a tenth.
 */
import type { WeatherSample } from "./weather_samples.ts";

/** A month of a sample every 2 s, and some. */
export const weatherSamplesMax = 2_000_000;
const header = "seconds,temperature_c,humidity_pct";
const SECONDS_MAX = 9_000_000;

export type ReadWeather =
  | { readonly kind: "weather"; readonly samples: readonly WeatherSample[] }
  | { readonly kind: "problem"; readonly problem: string };

/** Reads the file's text; lines that are empty or begin with `#` are left out. */
export function readWeather(text: string): ReadWeather {
  const samples: WeatherSample[] = [];
  let lines = 0;
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const content = line.trim();
    if (content === "" || content.startsWith("#")) continue;
    if (lines++ === 0) {
      if (content.replaceAll(" ", "") !== header) return problem(index, `must be ${header}`);
      continue;
    }
    const sample = sampleOf(content);
    if (typeof sample === "string") return problem(index, sample);
    const before = samples.at(-1);
    if (before !== undefined && sample.atNanos <= before.atNanos) return problem(index, "seconds must grow");
    if (samples.length === weatherSamplesMax) return problem(index, `more than ${weatherSamplesMax} lines`);
    samples.push(sample);
  }
  return samples.length === 0
    ? problem(0, `needs ${header} and a line of numbers`)
    : { kind: "weather", samples };
}

/** The sensor's range is the air's here: what it can't measure can't be told to it. */
const ranges = [["seconds", 0, SECONDS_MAX], ["temperature_c", -40, 80], ["humidity_pct", 0, 100]] as const;

function sampleOf(line: string): WeatherSample | string {
  const cells = line.split(",").map((cell) => cell.trim());
  if (cells.length !== ranges.length) return `must have ${ranges.length} cells`;
  const numbers: (number | null)[] = [];
  for (const [index, [name, min, max]] of ranges.entries()) {
    const cell = cells[index] ?? "";
    const value = Number(cell);
    const mayBeEmpty = index > 0 && cell === "";
    if (!mayBeEmpty && (!/^-?\d+(\.\d+)?$/.test(cell) || value < min || value > max)) {
      return `${name} must be a number from ${min} to ${max}, not ${JSON.stringify(cell)}`;
    }
    numbers.push(mayBeEmpty ? null : value);
  }
  const [seconds, temperatureC, humidityPct] = numbers;
  const tenths = (value: number) => Math.round(value * 10);
  return {
    atNanos: Math.round((seconds ?? 0) * 1e9),
    ...(typeof temperatureC === "number" ? { temperatureTenthsC: tenths(temperatureC) } : {}),
    ...(typeof humidityPct === "number" ? { humidityTenthsPct: tenths(humidityPct) } : {}),
  };
}

const problem = (index: number, sentence: string): ReadWeather => ({
  kind: "problem",
  problem: `line ${index + 1}: ${sentence}`,
});
