/**
 * The published folder: which files are where, and the record that each partition keeps of its own publication.
 *
 *     published/
 *       catalogue.duckdb        the views; what people open
 *       manifest.json           what is published (core/manifest.ts); written last
 *       partitions/0@17-….json  partition 0 under the owner of epoch 17: its position, digest and segments
 *       segments/0/….parquet    immutable files (mode 0444)
 *
 * A partition's record is the truth about its published rows: it is written, durably, before the rows leave the live
 * file. Catalogue and manifest are made of the newest record of each partition, whoever wrote it.
 *
 * *Another configuration* makes other rows, beside those that are there: records have their configuration's hash in
 * their name, and a catalogue shows records of one configuration only. It goes on showing the old ones until the new ones
 * have come as far in every partition; that catalogue is the swap. Its reader sees all rows of the one or of the other.
 */
import type { PositionRow } from "../../core/rows.ts";
import type { Manifest, PublishedConfig, PublishedFile, PublishedPartition } from "../../core/manifest.ts";
import { StoreRefused } from "../../core/ports/store.ts";
import { readTextIfAny, replaceFile } from "../durable_files.ts";
import type { Segment } from "./segments.ts";

/** A file that no newer publication names; it stays for readers of older ones, see `publishedGraceMs`. */
export interface RetiredFile {
  readonly path: string;
  readonly sinceMs: number;
}

/** What one owner of one partition has published. */
export interface PartitionRecord {
  /** Version of this format. */
  readonly isotherm: 1;
  readonly generation: number;
  readonly publishedMs: number;
  /** Transaction that is the last in the segments. */
  readonly version: number;
  readonly position: PositionRow;
  /** What `position.configHash` is the hash of; absent if the writer wasn't told. */
  readonly config?: PublishedConfig;
  /** See `digest.ts`; hex. */
  readonly rowDigest: string;
  /** By table in version order, oldest first; the paths are relative to the published folder. */
  readonly segments: readonly Segment[];
  readonly retired: readonly RetiredFile[];
  /** Rows that were damaged and could not be made anew, since the log no longer has their records. */
  readonly lost?: readonly LostRows[];
}

/** What a damaged segment held. */
export interface LostRows {
  readonly table: string;
  readonly rows: number;
  readonly minMs: number | null;
  readonly maxMs: number | null;
}

/** Paths of a data folder. All absolute: views name files from any working directory. */
export interface DataPaths {
  readonly live: string;
  readonly liveFolder: string;
  /** Folder of the live folders of all partitions. */
  readonly liveFolders: string;
  readonly published: string;
  readonly catalogue: string;
  readonly manifest: string;
  readonly records: string;
  /** Folder of this partition's segments. */
  readonly segments: string;
  readonly lock: string;
  /** Where damaged files are moved to. */
  readonly damaged: string;
}

/** The paths of one partition in a data folder; the folder need not exist. */
export function dataPaths(
  directory: string,
  partition: number,
  privateDirectory: string = directory,
): DataPaths {
  const root = absolutePath(privateDirectory);
  const published = `${absolutePath(directory)}/published`;
  const liveFolders = `${root}/partitions`;
  const liveFolder = `${liveFolders}/${partition}`;
  return {
    live: `${liveFolder}/live.duckdb`,
    liveFolder,
    liveFolders,
    published,
    catalogue: `${published}/catalogue.duckdb`,
    manifest: `${published}/manifest.json`,
    records: `${published}/partitions`,
    segments: `${published}/segments/${partition}`,
    lock: `${published}/.lock`,
    damaged: `${root}/damaged/${partition}`,
  };
}

/** An absolute path with forward slashes and without a slash at its end. */
export function absolutePath(path: string): string {
  const slashed = path.replaceAll("\\", "/");
  const absolute = /^([A-Za-z]:)?\//.test(slashed)
    ? slashed
    : `${Deno.cwd().replaceAll("\\", "/")}/${slashed.replace(/^(\.\/)+/, "")}`;
  const normal = absolute.replace(/\/+$/, "").replace(/\/\.(?=\/|$)/g, "");
  if (/[*?[\]{}]/.test(normal)) {
    throw new StoreRefused(
      `the data folder ${normal} has one of * ? [ ] { } in its path, which SQL takes for a pattern: choose another folder`,
    );
  }
  return normal;
}

/** A text as an SQL literal. */
export function quoted(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** The newest record of one partition, of one configuration if that is given; null if nothing is published. */
export async function newestRecord(
  paths: DataPaths,
  partition: number,
  configHash: string | null = null,
): Promise<PartitionRecord | null> {
  return newestOfEach(await readAllRecords(paths, partition), configHash).get(partition) ?? null;
}

/** The newest record of each partition. */
export async function readRecords(paths: DataPaths): Promise<Map<number, PartitionRecord>> {
  return newestOfEach(await readAllRecords(paths));
}

/** Every record that lies there, of all partitions or of one. */
export async function readAllRecords(paths: DataPaths, partition?: number): Promise<PartitionRecord[]> {
  const records: PartitionRecord[] = [];
  for (const name of await recordNames(paths, partition)) {
    const record = await readRecord(`${paths.records}/${name}`);
    if (record !== null) records.push(record);
  }
  return records;
}

/** The newest of each partition, of those of one configuration if that is given: the one with the highest epoch. */
export function newestOfEach(
  records: readonly PartitionRecord[],
  configHash: string | null = null,
): Map<number, PartitionRecord> {
  const newest = new Map<number, PartitionRecord>();
  for (const record of records) {
    if (configHash !== null && record.position.configHash !== configHash) continue;
    const known = newest.get(record.position.partition);
    if (known === undefined || known.position.epoch < record.position.epoch) {
      newest.set(record.position.partition, record);
    }
  }
  return newest;
}

/** Names of the records of all partitions, or of one. */
export async function recordNames(paths: DataPaths, partition?: number): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const entry of Deno.readDir(paths.records)) {
      const match = /^(\d+)@-?\d+(?:-\w+)?\.json$/.exec(entry.name);
      if (match !== null && (partition === undefined || Number(match[1]) === partition)) {
        names.push(entry.name);
      }
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return names.sort();
}

async function readRecord(path: string): Promise<PartitionRecord | null> {
  const text = await readTextIfAny(path);
  if (text === null) return null;
  try {
    const record = JSON.parse(text) as PartitionRecord;
    if (record.isotherm === 1 && Array.isArray(record.segments) && record.position !== undefined) {
      return record;
    }
  } catch {
    // Told below, with what to do.
  }
  throw new StoreRefused(
    `${path} is no record of a publication that this build reads: use the build that wrote it, or move the folder ` +
      "`published` aside and start again, which publishes everything anew from the log",
  );
}

/** Name of the record file of a position's partition, epoch and configuration. */
export function recordName({ partition, epoch, configHash }: PositionRow): string {
  return `${partition}@${epoch}-${configHash.slice(0, 8)}.json`;
}

/** Writes a record durably. */
export async function writeRecord(paths: DataPaths, record: PartitionRecord): Promise<void> {
  await replaceFile(`${paths.records}/${recordName(record.position)}`, JSON.stringify(record));
}

/** Whether this very record is the one that lies there; null if that can't be told now. */
export async function isWritten(paths: DataPaths, record: PartitionRecord): Promise<boolean | null> {
  try {
    return await readTextIfAny(`${paths.records}/${recordName(record.position)}`) === JSON.stringify(record);
  } catch {
    return null;
  }
}

/** Absolute paths of a table's segments, in their order. */
export function filesOf(paths: DataPaths, segments: readonly Segment[], table: string): string[] {
  return segments.filter((segment) => segment.table === table).map(({ path }) =>
    `${paths.published}/${path}`
  );
}

/** The manifest over the newest records of a configuration; `newest` is the one that was written last. */
export function manifestOf(
  records: ReadonlyMap<number, PartitionRecord>,
  generation: number,
  { publishedMs, position: { configHash }, config }: PartitionRecord,
): Manifest {
  const partitions = [...records.values()]
    .sort((left, right) => left.position.partition - right.position.partition)
    .map((record): PublishedPartition => ({
      partition: record.position.partition,
      nextOffset: record.position.nextOffset,
      epoch: record.position.epoch,
      appendHighMs: record.position.appendHighMs,
      rowDigest: record.rowDigest,
      files: record.segments.map(({ path, table, rows, bytes, sha256 }): PublishedFile => ({
        path,
        table,
        rows,
        bytes,
        sha256,
      })),
    }));
  return {
    isotherm: 1,
    generation,
    publishedMs,
    configHash,
    ...config === undefined ? {} : { config },
    partitions,
  };
}
