/** Whether stored rows belong to this log and this configuration, and what to do where they don't. */
import type { JudgeConfig } from "../core/config.ts";
import { type LogReader, LogRefused, LogUnavailable } from "../core/ports/log.ts";
import { type RowsConfig, StoreRefused } from "../core/ports/store.ts";
import type { Trace } from "../core/ports/trace.ts";
import type { PositionRow } from "../core/rows.ts";
import { configHash, publishedConfig, recordHash } from "./hashes.ts";

/** Partition counts that a stored configuration hash is tried with, to name what has changed. */
const PARTITIONS_TRIED_MAX = 1_024;
/** A record that didn't come is asked for again after so long. */
const RETRY_MS = 250;

/** What the log has of what the stored rows end with. */
export type Recognised =
  /** `nextOffset`: where the log ends. */
  | { readonly kind: "same"; readonly nextOffset: number }
  /** Records from the stored position to before `earliest` have expired. */
  | { readonly kind: "gap"; readonly earliest: number; readonly nextOffset: number }
  /** The partition is another worker's by now, who will look. */
  | { readonly kind: "revoked" };

export class Recognition {
  constructor(
    private readonly ports: { readonly reader: LogReader; readonly trace: Trace },
    private readonly judge: JudgeConfig,
    private readonly partition: number,
  ) {}

  /** With what configuration rows are to be stored. */
  rowsConfig(): RowsConfig {
    return {
      config: publishedConfig(this.judge, this.ports.reader.partitions),
      mayRebuild: (otherHash) => this.#mayRebuild(otherHash),
    };
  }

  /** Rows of another configuration are made anew, beside the old ones, where the log still has everything. */
  async #mayRebuild(otherHash: string): Promise<void> {
    if (this.#partitionsOf(otherHash) !== null) throw this.otherConfig(otherHash);
    const { earliest } = await this.ports.reader.range(this.partition);
    if (earliest > 0) {
      throw this.otherConfig(otherHash, `, which no longer has its first ${earliest} records`);
    }
    this.ports.trace.emit("info", "aggregator.rebuilding", { partition: this.partition, otherHash });
  }

  /** Partitions of the log that rows with this hash come from, if they are ours in everything else; null if not. */
  #partitionsOf(hash: string): number | null {
    for (let count = 1; count <= PARTITIONS_TRIED_MAX; count++) {
      if (configHash(this.judge, count) === hash) return count;
    }
    return null;
  }

  /** Why stored rows with this hash can't be gone on with. */
  otherConfig(hash: string, ofTheLog = ""): StoreRefused {
    const count = this.#partitionsOf(hash);
    if (count !== null) {
      return new StoreRefused(
        `the stored rows come from a log of ${count} partitions, this one has ${this.ports.reader.partitions}: ` +
          "devices would change their partition. Use the log with the old count, or start with an empty data folder " +
          "to rebuild from the log",
      );
    }
    return new StoreRefused(
      "the stored rows were made with another configuration of windows or bounds, and can't be made anew from the log" +
        `${ofTheLog}: go back to that configuration, or start with a new data folder (ISOTHERM_DATA) and --accept-gap, ` +
        "which makes rows of what the log still has while the old ones stay readable",
    );
  }

  /** Compares the record before a stored position with what was stored of it. Rejects with {@link LogRefused}. */
  async recognise(position: PositionRow | null, readWaitMs: number): Promise<Recognised> {
    const { reader } = this.ports;
    const nextOffset = position?.nextOffset ?? 0;
    const { earliest, next } = await reader.range(this.partition);
    if (nextOffset > next) {
      throw new LogRefused(
        `partition ${this.partition} of the log ends at ${next}, but rows up to ${nextOffset} are stored: it was ` +
          "truncated or re-created. Bring the old log back, or move the data folder away to start anew",
      );
    }
    if (nextOffset < earliest) return { kind: "gap", earliest, nextOffset: next };
    const same: Recognised = { kind: "same", nextOffset: next };
    if (position === null || position.lastOffset === null || position.lastOffset < earliest) return same;
    const limits = { recordsMax: 1, bytesMax: Infinity, waitMs: readWaitMs };
    const outcome = await reader.read(this.partition, position.lastOffset, limits);
    if (outcome.kind === "revoked") return { kind: "revoked" };
    const record = outcome.kind === "records" ? outcome.records[0] : undefined;
    if (outcome.kind === "records" && record === undefined) {
      throw new LogUnavailable(`record ${position.lastOffset} didn't come within the wait`, RETRY_MS);
    }
    if (record?.offset !== position.lastOffset || recordHash(record) !== position.lastHash) {
      throw new LogRefused(
        `record ${position.lastOffset} of partition ${this.partition} is not the one that the stored rows end with: ` +
          "this is another log. Point to the log that the data folder belongs to, or to another data folder",
      );
    }
    return same;
  }
}
