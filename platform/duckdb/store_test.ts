import assert from "node:assert/strict";
import type { Store } from "../../core/ports/store.ts";
import { MemoryDisk } from "../../core/testing/memory_store.ts";
import { startMs } from "../../core/testing/builders.ts";
import { storeContract, type StoreUnderTest } from "../../core/testing/store_contract.ts";
import { type DuckdbPublisher, openPublisher } from "./publisher.ts";
import { clusters } from "./lookup.ts";
import { openStore } from "./store.ts";

const retentionMs = 30 * 86_400_000;

/**
 * A store in a temporary folder; every `publishEvery` commits its rows are published (0: never), and transactions of so
 * many readings are sealed.
 */
function duckdb(name: string, publishEvery: number, sealedReadingsMin = Infinity): StoreUnderTest {
  return {
    name,
    async create() {
      let directory = await Deno.makeTempDir({ prefix: "isotherm-store-" });
      const folders = [directory];
      const publishers = new Map<Store, DuckdbPublisher>();
      let commits = 0;
      const close = async (store: Store) => {
        await publishers.get(store)?.close();
        publishers.delete(store);
      };
      return {
        async open() {
          const store = await openStore({ directory, partition: 0, retentionMs, sealedReadingsMin });
          if (publishEvery > 0) publishers.set(store, await openPublisher(store, { mergeInline: true }));
          return store;
        },
        /** What a killed process leaves: the files as they are now, in another folder. */
        async abandon(store) {
          const left = await Deno.makeTempDir({ prefix: "isotherm-store-" });
          folders.push(left);
          await copyFolder(directory, left);
          directory = left;
          await close(store);
          await store.close();
        },
        async afterCommit(store) {
          if (publishEvery > 0 && ++commits % publishEvery === 0) {
            await publishers.get(store)!.publish([], startMs + commits * 1_000);
          }
        },
        fill: null,
        async remove() {
          for (const publisher of publishers.values()) await publisher.close();
          for (const folder of folders) await Deno.remove(folder, { recursive: true });
        },
      };
    },
  };
}

async function copyFolder(from: string, to: string): Promise<void> {
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) {
      await Deno.mkdir(target, { recursive: true });
      await copyFolder(source, target);
    } else {
      await Deno.copyFile(source, target);
    }
  }
}

storeContract(duckdb("the DuckDB store, nothing published", 0), Deno.test);
storeContract(duckdb("the DuckDB store, every second commit published", 2), Deno.test);
storeContract(duckdb("the DuckDB store, readings sealed, every third commit published", 3, 1), Deno.test);
storeContract({
  name: "the store in memory",
  create() {
    const disk = new MemoryDisk();
    return Promise.resolve({
      open: () => Promise.resolve(disk.open(0)),
      abandon: () => Promise.resolve(),
      afterCommit: () => Promise.resolve(),
      fill() {
        disk.commitsToRefuse = 1;
        return Promise.resolve();
      },
      remove: () => Promise.resolve(),
    });
  },
}, Deno.test);

Deno.test("spans of event time are looked up together unless a day or more lies between", () => {
  const day = 86_400_000;
  assert.deepEqual(clusters([]), []);
  assert.deepEqual(
    clusters([{ fromMs: 2 * day, toMs: 2 * day + 5 }, { fromMs: 0, toMs: day }, { fromMs: 10, toMs: 20 }]),
    [{ fromMs: 0, toMs: 2 * day + 5 }],
  );
  assert.deepEqual(
    clusters([{ fromMs: 2 * day + 1, toMs: 2 * day + 5 }, { fromMs: 0, toMs: day }]),
    [{ fromMs: 0, toMs: day }, { fromMs: 2 * day + 1, toMs: 2 * day + 5 }],
  );
  const apart = Array.from(
    { length: 20 },
    (_, index) => ({ fromMs: index * 3 * day, toMs: index * 3 * day + 1 }),
  );
  assert.equal(clusters(apart).length, 8);
  assert.deepEqual(clusters(apart).at(-1), { fromMs: 21 * day, toMs: 57 * day + 1 });
});
