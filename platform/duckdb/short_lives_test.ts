import assert from "node:assert/strict";
import { changes, positionRow, readingRow, startMs, windowRow } from "../../core/testing/builders.ts";
import { openPublisher } from "./publisher.ts";
import { segmentLimits } from "./segments.ts";
import { openStore } from "./store.ts";

Deno.test("lives that publish and end before they can merge leave no publication that is full", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-short-lives-" });
  try {
    let files = 0;
    for (let life = 0; life < 26; life++) {
      const store = await openStore({ directory, partition: 0, retentionMs: 86_400_000 });
      const publisher = await openPublisher(store);
      const [fromMs, toMs] = [startMs + life * 60_000, startMs + (life + 1) * 60_000];
      await store.commit(changes({
        position: positionRow({ nextOffset: life + 1 }),
        readings: [readingRow({ offset: life, seq: life, tsMs: fromMs })],
        windows: [windowRow({ startMs: fromMs, endMs: toMs })],
      }));
      const manifest = await publisher.publish([], startMs + life * 1_000);
      files = Math.max(files, manifest.partitions[0]!.files.length);
      await publisher.close();
      await store.close();
    }
    assert.ok(files > segmentLimits.segmentsMax / 2, `${files} files: merges were not cut short`);
    assert.ok(files <= segmentLimits.segmentsMax, `${files} files`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
