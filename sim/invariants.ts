/** What must hold after every step, whatever goes wrong. */
import type { Changes } from "../core/ports/store.ts";
import type { LogRecord } from "../core/ports/log.ts";
import type { SimLog } from "./log.ts";

/** An invariant was violated: the message says which. */
export class Violation extends Error {
  override name = "Violation";
}

const decoder = new TextDecoder();

export class Invariants {
  readonly #log: SimLog;
  readonly #fail: (sentence: string) => void;
  readonly #seen: number[];
  /** Values in the log, with how often. */
  readonly #values = new Set<string>();
  readonly #watermarks = new Map<string, number>();
  readonly #revisions = new Map<string, number>();
  readonly #rows = new Map<string, string>();
  readonly #appendHigh = new Map<string, number>();

  constructor(log: SimLog, fail: (sentence: string) => void) {
    this.#log = log;
    this.#fail = fail;
    this.#seen = Array.from({ length: log.partitions }, () => 0);
  }

  /** Looks at everything that is cheap to look at. */
  check(): void {
    this.#readLog();
  }

  /** A sender got a 2xx for `body`: it must be in the log. */
  acknowledged(body: BodyInit): void {
    if (typeof body !== "string" || body.includes("\n")) return;
    this.#readLog();
    if (!this.#values.has(body)) this.#fail(`acknowledged, but not in the log: ${body.slice(0, 300)}`);
  }

  /** A transaction was kept. Each life of a worker starts from what its own files hold. */
  readonly committed = (worker: number, life: number, changes: Changes): void => {
    const { position } = changes;
    const who = `worker ${worker}, life ${life}, partition ${position.partition}`;
    const highMs = this.#appendHigh.get(who) ?? -Infinity;
    if (position.appendHighMs < highMs) {
      this.#fail(`${who}: append time went back to ${position.appendHighMs}`);
    }
    this.#appendHigh.set(who, position.appendHighMs);
    for (const { device, watermarkMs } of changes.devices) {
      const key = `${who} ${device}`;
      const before = this.#watermarks.get(key);
      if (before !== undefined && (watermarkMs === null || watermarkMs < before)) {
        this.#fail(`${who}: the watermark of ${device} went back from ${before} to ${watermarkMs}`);
      }
      if (watermarkMs !== null) this.#watermarks.set(key, watermarkMs);
    }
    const stored = new Set<string>();
    for (const row of changes.windows) {
      const window = `${row.device} ${row.windowSize} ${row.startMs}`;
      if (stored.has(window)) this.#fail(`${who}: two versions of ${window} in one transaction`);
      stored.add(window);
      const key = `${who} ${window}`;
      const before = this.#revisions.get(key);
      if (before !== undefined && row.revision <= before) {
        this.#fail(`${who}: closed row ${window} changed at revision ${row.revision} after ${before}`);
      }
      this.#revisions.set(key, row.revision);
      // Whoever makes it: the same revision is the same row.
      const text = JSON.stringify(
        row,
        (name, value) => name === "replaces" ? undefined : typeof value === "bigint" ? String(value) : value,
      );
      const version = `${position.partition} ${window} ${row.revision}`;
      const known = this.#rows.get(version);
      if (known !== undefined && known !== text) {
        this.#fail(`${who}: revision ${row.revision} of ${window} is ${text}, before it was ${known}`);
      }
      this.#rows.set(version, text);
    }
  };

  #readLog(): void {
    for (let partition = 0; partition < this.#seen.length; partition++) {
      const records: readonly LogRecord[] = this.#log.records(partition);
      for (let i = this.#seen[partition] ?? 0; i < records.length; i++) {
        const value = records[i]?.value;
        if (value !== null && value !== undefined) this.#values.add(decoder.decode(value));
      }
      this.#seen[partition] = records.length;
    }
  }
}
