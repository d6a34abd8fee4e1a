/** Senders that mean harm or know no better. None of them has another device's name. */
import { below, type Random } from "../core/ports/random.ts";

export interface HostileBody {
  readonly body: BodyInit;
  readonly type: string;
}

const YEAR_MS = 365 * 86_400_000;

/** `count` requests. */
export function hostileBodies(random: Random, nowMs: number, count: number): HostileBody[] {
  return Array.from({ length: count }, () => draw(random, nowMs));
}

function draw(random: Random, nowMs: number): HostileBody {
  const device = `hostile-${below(random, 3)}`;
  const json = (value: unknown): HostileBody => ({ body: JSON.stringify(value), type: "application/json" });
  const readings = (length: number, of: (i: number) => object) => Array.from({ length }, (_, i) => of(i));
  const cases: (() => HostileBody)[] = [
    () =>
      json({
        device,
        boot: 1,
        readings: readings(3, (seq) => ({ seq, ts: nowMs + YEAR_MS, temperature_c: 20 })),
      }),
    () =>
      json({
        device,
        boot: 1,
        readings: readings(40, (seq) => ({ seq, ts: nowMs - seq, temperature_c: 999 })),
      }),
    () =>
      json({
        device,
        boot: below(random, 50),
        readings: readings(20, (i) => ({ seq: i * 1_000, ts: nowMs - i, humidity_pct: i })),
      }),
    () => json({ device, temperature_c: below(random, 50) }),
    () =>
      json({
        device,
        boot: 1,
        pending_since: 0,
        readings: [{ seq: below(random, 1e6), ts: nowMs, temperature_c: 1 }],
      }),
    () => json({ device, boot: 1, lost: [{ from: 0, to: 9_999_999_999 }], readings: [] }),
    () => json({ device, readings: readings(10, () => ({ temperature_c: "warm" })) }),
    () => json({ device: "", temperature_c: 1 }),
    () => ({ body: "{", type: "application/json" }),
    () => ({ body: new Uint8Array([0xff, 0xfe, 0x00]), type: "application/json" }),
    () => ({ body: "x".repeat(1_000_000), type: "application/json" }),
    () => ({ body: "a=b", type: "application/x-www-form-urlencoded" }),
    () => ({
      body: readings(5, (i) => ({ device, boot: 2, readings: [{ seq: i, ts: nowMs, temperature_c: i }] }))
        .map((batch) => JSON.stringify(batch)).join("\n"),
      type: "application/x-ndjson",
    }),
    () =>
      json({
        device,
        boot: 3,
        readings: readings(4_096, (seq) => ({ seq, ts: nowMs - seq * 1_000, temperature_c: seq % 70 })),
      }),
  ];
  return cases[below(random, cases.length)]!();
}
