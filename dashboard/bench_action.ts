import type { BenchAction } from "./ports.ts";

/** What a page asks of the bench, decoded; null when it is something else. */
export function benchActionOf(value: unknown): BenchAction | null {
  if (typeof value !== "object" || value === null) return null;
  const { kind, device, on, temperatureC, humidityPct } = value as Record<string, unknown>;
  if (typeof device !== "string") return null;
  switch (kind) {
    case "air":
      return isWithin(temperatureC, -40, 80) && isWithin(humidityPct, 0, 100)
        ? { kind, device, temperatureC, humidityPct }
        : null;
    case "wifi":
    case "sensor":
    case "power":
    case "clock":
      return typeof on === "boolean" ? { kind, device, on } : null;
    case "reset":
      return { kind, device };
    default:
      return null;
  }
}

function isWithin(value: unknown, min: number, max: number): value is number | null {
  return value === null || (typeof value === "number" && value >= min && value <= max);
}
