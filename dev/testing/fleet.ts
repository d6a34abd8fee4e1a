/**
 * The deliveries of a fleet that has everything wrong with it that honest fleets have: backlogs sent late, batches out of
 * order, batches sent again, reboots, lost slots, sensor faults, wild values. Drawn from a seed; what must become of every
 * single slot is known while it is drawn.
 */
import { below, chance, type Random } from "../../core/ports/random.ts";
import { seededRandom } from "../../sim/random.ts";

export interface FleetPlan {
  readonly devices: number;
  /** Slots of each device; every one is sent, lost, or told as missing. */
  readonly slotsPerDevice: number;
  readonly seed: number;
  /** Event time of the first slot. */
  readonly startMs: number;
}

/** A device's requests, to be sent one after the other, each until it is acknowledged. */
export interface Deliveries {
  readonly device: string;
  readonly bodies: readonly string[];
}

/** What SQL has to show for the whole fleet. */
export interface Truth {
  readonly counted: number;
  readonly sensorFaults: number;
  readonly quarantined: number;
  readonly lost: number;
  readonly slots: number;
  /** Sum of all counted temperatures, in thousandths. */
  readonly temperatureMilliC: number;
}

export interface Fleet {
  readonly deliveries: readonly Deliveries[];
  readonly truth: Truth;
  /** Readings in all bodies, repetitions included. */
  readonly readings: number;
}

const EVERY_MS = 10_000;

interface Slot {
  readonly seq: number;
  readonly tsMs: number;
  readonly json: string;
}

/** Draws a fleet. */
export function drawFleet(plan: FleetPlan): Fleet {
  const truth = { counted: 0, sensorFaults: 0, quarantined: 0, lost: 0, slots: 0, temperatureMilliC: 0 };
  let readings = 0;
  const deliveries = Array.from({ length: plan.devices }, (_, index) => {
    const random = seededRandom(plan.seed, "fleet", index);
    const device = index % 7 === 0 ? `Gewächshaus-${index}` : `sensor-${index}`;
    const bodies: string[] = [];
    let left = plan.slotsPerDevice;
    let nextMs = plan.startMs + below(random, 60_000);
    let previous: { boot: number; slots: number } | null = null;
    while (left > 0) {
      const slots = Math.min(left, 1 + below(random, plan.slotsPerDevice));
      const boot = 1 + below(random, 2 ** 32) * 1_000_003;
      const sent = drawBoot(random, { device, boot, slots, startMs: nextMs, previous }, truth);
      bodies.push(...sent.bodies);
      readings += sent.readings;
      previous = { boot, slots };
      left -= slots;
      nextMs += slots * EVERY_MS + below(random, 600_000);
    }
    return { device, bodies };
  });
  return { deliveries, truth, readings };
}

type MutableTruth = { -readonly [K in keyof Truth]: Truth[K] };

interface BootPlan {
  readonly device: string;
  readonly boot: number;
  readonly slots: number;
  readonly startMs: number;
  readonly previous: { readonly boot: number; readonly slots: number } | null;
}

function drawBoot(random: Random, plan: BootPlan, truth: MutableTruth) {
  const { device, boot } = plan;
  truth.slots += plan.slots;
  const bodies: string[] = [];
  /** Kept back without a word: they will be late. */
  const held: string[] = [];
  /** Kept back, and told so: they are on time. */
  const backlog: Slot[] = [];
  const lost: { readonly from: number; readonly to: number; readonly reason: string }[] = [];
  let previous = plan.previous;
  let readings = 0;
  /** A batch says what is still to be said besides its readings. */
  const batch = (slots: readonly Slot[]) => {
    readings += slots.length;
    const head = JSON.stringify({
      device,
      boot,
      every_ms: EVERY_MS,
      pending_since: backlog[0]?.tsMs ?? null,
      ...previous === null ? {} : { previous },
      ...lost.length === 0 ? {} : { lost: lost.splice(0) },
    });
    previous = null;
    return `${head.slice(0, -1)},"readings":[${slots.map(({ json }) => json).join(",")}]}`;
  };
  for (let seq = 0; seq < plan.slots;) {
    const count = Math.min(plan.slots - seq, 1 + below(random, 60));
    if (chance(random, 1, 60)) {
      lost.push({ from: seq, to: seq + count - 1, reason: "backlog_full" });
      truth.lost += count;
      seq += count;
      continue;
    }
    const slots = Array.from({ length: count }, (_, i) => drawSlot(random, seq + i, plan.startMs, truth));
    seq += count;
    if (chance(random, 1, 4)) shuffle(random, slots);
    const fate = below(random, 24);
    if (fate < 3) backlog.push(...slots.toSorted((a, b) => a.seq - b.seq));
    else if (fate < 5) held.push(batch(slots));
    else bodies.push(batch(slots));
    if (bodies.length > 0 && chance(random, 1, 10)) {
      const again = bodies[below(random, bodies.length)]!;
      bodies.push(again);
      readings += JSON.parse(again).readings.length;
    }
    while (backlog.length > 0 && chance(random, 1, 3)) {
      bodies.push(batch(backlog.splice(0, 1 + below(random, 200))));
    }
    if (held.length > 0 && chance(random, 1, 6)) bodies.push(held.shift()!);
  }
  while (backlog.length > 0) bodies.push(batch(backlog.splice(0, 500)));
  bodies.push(...held);
  if (lost.length > 0 || previous !== null) bodies.push(batch([]));
  return { bodies, readings };
}

function drawSlot(random: Random, seq: number, startMs: number, truth: MutableTruth): Slot {
  const tsMs = startMs + seq * EVERY_MS + below(random, 200);
  const place = `"seq":${seq},"ts":${tsMs}`;
  if (chance(random, 1, 50)) {
    truth.sensorFaults++;
    return { seq, tsMs, json: `{${place},"error":"checksum"}` };
  }
  if (chance(random, 1, 100)) {
    truth.quarantined++;
    return { seq, tsMs, json: `{${place},"temperature_c":-200.0,"humidity_pct":255.0}` };
  }
  const tenths = below(random, 400) - 100;
  truth.counted++;
  truth.temperatureMilliC += tenths * 100;
  return {
    seq,
    tsMs,
    json: `{${place},"temperature_c":${tenths / 10},"humidity_pct":${below(random, 1_000) / 10}}`,
  };
}

function shuffle<T>(random: Random, items: T[]): void {
  for (let i = items.length - 1; i > 0; i--) {
    const j = below(random, i + 1);
    [items[i], items[j]] = [items[j]!, items[i]!];
  }
}
