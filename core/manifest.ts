/**
 * The manifest of a publication: what the published files are and how far they go. Written last, by rename; readers
 * that want proof start here, readers that want rows open the catalogue.
 */
export interface PublishedFile {
  /** Relative to the folder of the manifest. */
  readonly path: string;
  /** Base table of `tables.sql` whose rows it holds. */
  readonly table: string;
  readonly rows: number;
  readonly bytes: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** The configuration that rows are made with, see `core/config.ts`: what readers of rows may have to know of it. */
export interface PublishedConfig {
  /** SHA-256 of `configText`, hex. */
  readonly hash: string;
  /** Labels of the window kinds, finest first. */
  readonly windows: readonly string[];
  readonly outOfOrderMs: number;
  readonly idleMs: number;
  readonly futureMs: number;
  readonly pendingMs: number;
  readonly retentionMs: number;
}

export interface PublishedPartition {
  readonly partition: number;
  readonly nextOffset: number;
  readonly epoch: number;
  readonly appendHighMs: number;
  /** Order-independent digest of the newest version of every closed window, see `core/digest.ts`; hex. */
  readonly rowDigest: string;
  readonly files: readonly PublishedFile[];
}

export interface Manifest {
  /** Version of this format. */
  readonly isotherm: 1;
  readonly generation: number;
  readonly publishedMs: number;
  /** SHA-256 of `configText`, hex. */
  readonly configHash: string;
  /** What it is the hash of; absent if the writer wasn't told. */
  readonly config?: PublishedConfig;
  readonly partitions: readonly PublishedPartition[];
}

/** Reads a manifest's text; the error says what is wrong with it. */
export function parseManifest(text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Error(`the manifest is not JSON: ${(error as Error).message}`);
  }
  const manifest = value as Partial<Manifest> | null;
  if (typeof manifest !== "object" || manifest === null || manifest.isotherm !== 1) {
    throw new Error(
      `the manifest has version ${String(manifest?.isotherm)}, this build reads 1: use a newer build`,
    );
  }
  if (!Array.isArray(manifest.partitions) || typeof manifest.generation !== "number") {
    throw new Error(
      "the manifest lacks `partitions` or `generation`: publish again or take it from a backup",
    );
  }
  return manifest as Manifest;
}
