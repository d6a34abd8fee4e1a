/** Records that no ingest of ours wrote: other tools' ticks, control records, garbage. */
import { partitionOf } from "../core/murmur2.ts";
import type { NewRecord } from "../core/ports/log.ts";
import { below, type Random } from "../core/ports/random.ts";
import { headerNames } from "../core/schema.ts";

export interface ForeignPlan {
  readonly devices: readonly string[];
  readonly partitions: number;
  /** What a device is renamed to, if one is. */
  readonly name: string;
  readonly count: number;
}

/** `count` records. */
export function foreignRecords(
  random: Random,
  { devices, partitions, name, count }: ForeignPlan,
): NewRecord[] {
  const device = devices[below(random, devices.length)] ?? "board-1";
  const mine = partitionOf(device, partitions);
  const any = below(random, partitions);
  const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const kind = (value: string) => ({ [headerNames.version]: "1", [headerNames.kind]: value });
  return Array.from({ length: count }, () => {
    const curl = encode({ device: "curl", temperature_c: below(random, 40) });
    const cases: readonly NewRecord[] = [
      { partition: any, key: null, value: null, headers: kind("tick") },
      { partition: any, key: null, value: null, headers: {} },
      { partition: any, key: "x", value: new Uint8Array([1, 2, 3]), headers: {} },
      { partition: mine, key: device, value: encode({ action: "rename", name }), headers: kind("device") },
      { partition: mine, key: device, value: encode({ action: "retire" }), headers: kind("device") },
      { partition: any, key: "curl", value: curl, headers: {} },
    ];
    return cases[below(random, cases.length)]!;
  });
}
