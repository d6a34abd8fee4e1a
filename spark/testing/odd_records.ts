/** Records of everything that judging tells apart, to be put behind a fleet's tape. */
import { partitionOf } from "../../core/murmur2.ts";
import type { LogRecord } from "../../core/ports/log.ts";
import { logRecord } from "../../core/testing/log_contract.ts";

const DAY_MS = 86_400_000;

/** The tape with them at its end; the last ones come 40 days later, when the first readings have expired. */
export function withOddRecords(tape: readonly LogRecord[], partitions: number): readonly LogRecord[] {
  const all = [...tape];
  let appendMs = Math.max(...tape.map((record) => record.appendMs));
  const append = (partition: number, key: string, value: string, headers: Record<string, string> = {}) => {
    const offset = all.filter((record) => record.partition === partition).length;
    all.push(
      logRecord({ partition, offset, appendMs, key, value: new TextEncoder().encode(value), headers }),
    );
    appendMs += 1_000;
    return offset;
  };
  const device = (name: string, fields: Record<string, unknown>) =>
    append(partitionOf(name, partitions), name, JSON.stringify({ device: name, ...fields }));
  const text = (name: string, fields: string) =>
    append(partitionOf(name, partitions), name, `{"device":"${name}",${fields}}`);
  const ts = appendMs - 600_000;

  // Without boot and seq: each append counts without a time, channels add up with one.
  text("desk", '"temperature_c":21.4005');
  text("desk", '"temperature_c":21.4005');
  text("desk", `"ts":${ts},"temperature_c":-0.0005`);
  text("desk", `"ts":${ts},"humidity_pct":4.05e1`);
  text("desk", `"ts":${ts},"temperature_c":-0.00050,"humidity_pct":40.5`);
  text("desk", `"ts":${ts},"temperature_c":-0.002`);
  text("desk", `"ts":${ts},"error":"checksum"`);
  // With them: the first valid one of a slot stands.
  const slot = (seq: number, fields: Record<string, unknown>) => ({
    boot: 7,
    every_ms: 10_000,
    readings: [{ seq, ...fields }],
  });
  device("Küche", slot(0, { ts, temperature_c: 20.1 }));
  device("Küche", slot(0, { ts, temperature_c: 20.1 }));
  device("Küche", slot(0, { ts, temperature_c: 20.2 }));
  device("Küche", slot(0, { ts: ts + 1, temperature_c: 20.1 }));
  device("Küche", slot(0, { temperature_c: 20.1 }));
  device("Küche", slot(1, { ts: ts + 10_000, temperature_c: -200.0 }));
  device("Küche", slot(1, { ts: ts + 10_000, temperature_c: -200.0 }));
  device("Küche", slot(1, { ts: ts + 10_000, temperature_c: 19.9 }));
  const quarantined = device("Küche", slot(2, { ts: ts + 20_000, humidity_pct: 255 }));
  append(
    partitionOf("Küche", partitions),
    "Küche",
    JSON.stringify({
      device: "Küche",
      offset: quarantined,
      index: 0,
      boot: 7,
      reading: { seq: 2, ts: ts + 20_000, humidity_pct: 55 },
    }),
    { isotherm: "1", "isotherm-kind": "release" },
  );
  device("Küche", { ...slot(3, { ts: ts + 30_000, temperature_c: 18.5, humidity_pct: 100 }), synced: false });
  // What can't be counted.
  device("desk", { ts: appendMs + 301_000, temperature_c: 1 });
  device("desk", { ts: Date.UTC(2014, 11, 31), temperature_c: 1 });
  device("desk", {
    readings: [{ temperature_c: 1 }, { ts, temperature_c: 80.0005 }, { ts: ts + 1_000, temperature_c: 80 }],
  });
  device("desk", {
    readings: [
      { seq: 1.5, ts, temperature_c: 1 },
      { ts, temperature_c: "1" },
      { ts, error: "x", humidity_pct: 1 },
      5,
      {},
    ],
  });
  append(0, "desk", "no batch at all");
  append(1, "desk", '{"device":"desk","temperature_c":NaN}');
  append(1, "desk", '{"device":"","temperature_c":1}');
  append(
    1 - partitionOf("desk", partitions),
    "desk",
    JSON.stringify({ device: "desk", ts, temperature_c: 3 }),
  );
  append(partitionOf("desk", partitions), "desk", '{"action":"retire"}', { "isotherm-kind": "device" });
  append(partitionOf("desk", partitions), "desk", '{"action":"dance"}', { "isotherm-kind": "device" });

  appendMs += 40 * DAY_MS;
  text("desk", `"ts":${ts},"temperature_c":-0.0005`);
  text("desk", `"ts":${appendMs - 5_000},"temperature_c":22.05`);
  device("Küche", slot(0, { ts, temperature_c: 20.1 }));
  device("Küche", slot(0, { ts: appendMs - 5_000, temperature_c: 20.1 }));
  // A new version of a window whose other readings have expired: its percentiles are unknown.
  device("Küche", slot(4, { ts: ts + 40_000, temperature_c: 17 }));
  return all;
}
