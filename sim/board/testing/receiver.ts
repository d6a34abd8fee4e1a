/**
 * A strict receiver: takes what boards send, checks each batch against Contract 1, and keeps a ledger of every slot. A
 * slot that comes twice must come with the same content; two slots of a boot must never change places.
 */
import assert from "node:assert/strict";
import { decodeBatchText, type Reading } from "../../../core/schema.ts";

/** What is known of one boot of one device. */
export interface BootLedger {
  readonly slots: Map<number, Reading>;
  readonly lost: Map<number, string>;
  /** From a later boot's `previous`: how many slots there were. */
  slotCount: number | null;
  /** Slots that came more than once. */
  duplicateCount: number;
  synced: boolean;
}

/** One request as it came. */
export interface Received {
  readonly atMs: number;
  readonly device: string;
  readonly boot: number;
  readonly seqs: readonly number[];
  readonly pendingSinceMs: number | null;
  readonly body: string;
}

export class Receiver {
  readonly requests: Received[] = [];
  /** Device → boot → ledger, in order of arrival. */
  readonly devices = new Map<string, Map<number, BootLedger>>();
  readonly #nowMs: () => number;
  /** What the answer says; changed by tests. */
  credit = 100;
  key: string | null = null;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** Stores the batch and answers as ingest does. */
  readonly handle = async (request: Request): Promise<Response> => {
    if (request.method !== "POST") return new Response(null, { status: 405, headers: this.#date() });
    assert.equal(new URL(request.url).pathname, "/v1/readings");
    assert.equal(request.headers.get("content-type"), "application/json");
    if (this.key !== null && request.headers.get("authorization") !== `Bearer ${this.key}`) {
      return problem(401, "wrong key");
    }
    const body = await request.text();
    const count = this.take(body);
    const answer = { accepted: count, flagged: [], now: this.#nowMs(), credit: this.credit };
    return Response.json(answer, { status: 202, headers: this.#date() });
  };

  #date(): HeadersInit {
    return { date: new Date(this.#nowMs()).toUTCString() };
  }

  /** Stores a batch; throws when it isn't as Contract 1 wants it. Returns how many readings it had. */
  take(body: string): number {
    const decoded = decodeBatchText(body);
    assert.equal(decoded.kind, "batch", JSON.stringify(decoded));
    if (decoded.kind !== "batch") return 0;
    const { batch } = decoded;
    assert.ok(batch.boot !== null && batch.everyMs !== null);
    assert.equal(/\.\d\d|e[+-]?\d/.test(body.replace(/"[^"]*"/g, "")), false, `tenths only: ${body}`);
    const ledger = this.ledger(batch.device, batch.boot);
    ledger.synced &&= batch.synced;
    const readings = batch.readings.map((reading) => {
      assert.equal(reading.kind, "reading");
      return reading as Reading;
    });
    for (const reading of readings) keep(ledger, reading);
    for (const span of batch.lost) {
      for (let seq = span.from; seq <= span.to; seq++) ledger.lost.set(seq, span.reason);
    }
    if (batch.previous !== null) {
      this.ledger(batch.device, batch.previous.boot).slotCount = batch.previous.slots;
    }
    this.requests.push({
      atMs: this.#nowMs(),
      device: batch.device,
      boot: batch.boot,
      seqs: readings.map((reading) => reading.seq as number),
      pendingSinceMs: batch.pendingSinceMs,
      body,
    });
    return readings.length;
  }

  ledger(device: string, boot: number): BootLedger {
    const boots = this.devices.get(device) ?? new Map<number, BootLedger>();
    this.devices.set(device, boots);
    const known = boots.get(boot);
    if (known !== undefined) return known;
    const ledger = { slots: new Map(), lost: new Map(), slotCount: null, duplicateCount: 0, synced: true };
    boots.set(boot, ledger);
    return ledger;
  }

  /** All slots of a device that have arrived, over its boots. */
  slotCount(device: string): number {
    let count = 0;
    for (const ledger of this.devices.get(device)?.values() ?? []) count += ledger.slots.size;
    return count;
  }

  /** Fails unless every slot of every boot of a device is here or reported as lost. */
  checkComplete(device: string): void {
    for (const [boot, ledger] of this.devices.get(device) ?? []) {
      const highest = Math.max(-1, ...ledger.slots.keys(), ...ledger.lost.keys());
      const count = Math.max(highest + 1, ledger.slotCount ?? 0);
      const missing = Array.from({ length: count }, (_, seq) => seq)
        .filter((seq) => !ledger.slots.has(seq) && !ledger.lost.has(seq));
      assert.deepEqual(missing, [], `slots of boot ${boot} are missing`);
    }
  }

  /** Fails if two slots of one boot have changed places. */
  checkOrder(): void {
    for (const boots of this.devices.values()) {
      for (const ledger of boots.values()) {
        const slots = [...ledger.slots].sort(([a], [b]) => a - b);
        for (const [index, [seq, reading]] of slots.entries()) {
          const before = slots[index - 1];
          if (before === undefined) continue;
          assert.ok(
            (before[1].tsMs as number) < (reading.tsMs as number),
            `slots ${before[0]} and ${seq} changed places`,
          );
        }
      }
    }
  }
}

function keep(ledger: BootLedger, reading: Reading): void {
  assert.ok(reading.seq !== null && reading.tsMs !== null);
  const known = ledger.slots.get(reading.seq);
  if (known === undefined) {
    ledger.slots.set(reading.seq, reading);
    return;
  }
  assert.deepEqual(reading, known, "a slot that comes again has the same content");
  ledger.duplicateCount++;
}

/** An RFC 9457 problem document. */
export function problem(status: number, title: string, headers: HeadersInit = {}): Response {
  return Response.json({ status, title }, {
    status,
    headers: { ...headers, "content-type": "application/problem+json" },
  });
}
