/** A test's store with its publisher, in a folder that goes with the test, and questions to both. */
import { needs, startMs } from "../../core/testing/builders.ts";
import { type DuckdbPublisher, openPublisher } from "../duckdb/publisher.ts";
import { Catalogue } from "../duckdb/reader.ts";
import { type DuckdbStore, openStore, type StoreOptions } from "../duckdb/store.ts";

export interface Opened {
  readonly directory: string;
  store: DuckdbStore;
  publisher: DuckdbPublisher;
  /** Closes both and opens them again. */
  reopen(): Promise<void>;
  /** Rows of a query over the catalogue, opened anew. */
  ask(sql: string): Promise<readonly (readonly unknown[])[]>;
}

/** One test with a store and its publisher. */
export function storeTest(
  name: string,
  body: (opened: Opened) => Promise<void>,
  { retentionMs = 30 * 86_400_000, ...more }: Partial<Omit<StoreOptions, "directory" | "partition">> = {},
): void {
  Deno.test(name, async () => {
    const directory = await Deno.makeTempDir({ prefix: "isotherm-store-" });
    const open = () => openStore({ directory, partition: 0, retentionMs, ...more });
    const store = await open();
    const opened: Opened = {
      directory,
      store,
      publisher: await openPublisher(store, { mergeInline: true }),
      async reopen() {
        await this.publisher.close();
        await this.store.close();
        this.store = await open();
        this.publisher = await openPublisher(this.store, { mergeInline: true });
      },
      ask: (sql) => ask(directory, sql),
    };
    try {
      await body(opened);
    } finally {
      await opened.publisher.close();
      await opened.store.close();
      await Deno.remove(directory, { recursive: true });
    }
  });
}

/** Rows of a query over what is published in a folder. */
export async function ask(directory: string, sql: string): Promise<readonly (readonly unknown[])[]> {
  const catalogue = await Catalogue.open(directory);
  try {
    return (await catalogue.query(sql, 10_000)).rows;
  } finally {
    catalogue.close();
  }
}

/** Rows of a table of the live file. */
export async function rowsIn(store: DuckdbStore, table: string): Promise<number> {
  const reader = await store.live.writer.runAndReadAll(`SELECT count(*) FROM ${table}`);
  return Number(reader.getRows()[0]![0]);
}

/** The seqs of a device's readings, in log order, as the store finds them. */
export async function seqsKnown(store: DuckdbStore, device: string): Promise<(number | null)[]> {
  const span = { device, fromMs: startMs, toMs: startMs + 100_000_000 };
  const { readings } = await store.lookup(needs({ readings: [span] }));
  return readings.map(({ seq }) => seq);
}
