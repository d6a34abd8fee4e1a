import assert from "node:assert/strict";
import { dataPaths } from "../platform/duckdb/published.ts";
import type { PositionRow } from "../core/rows.ts";
import { rowDigest } from "../platform/duckdb/digest.ts";
import { Outsider, type Seen } from "./outsider.ts";
import { runScenario } from "./pipeline.ts";
import { drawScenario } from "./scenario.ts";

Deno.test("a reader sees rows that are not those of their digest, and files that are gone", async () => {
  const directory = await Deno.makeTempDir({ prefix: "isotherm-outsider-" });
  try {
    const scenario = {
      ...drawScenario(2, { devices: 1, hours: 0.1, faults: [] }),
      partitions: 1,
      workers: 1,
    };
    const { violation } = await runScenario(scenario, { directory });
    assert.equal(violation, null);
    const data = `${directory}/worker-0`;
    const { records, segments } = dataPaths(data, 0);
    const outsider = new Outsider(data);
    assert.equal(await outsider.look(1), null);
    const [entry] = [...Deno.readDirSync(records)];
    const record = `${records}/${entry?.name}`;
    const text = await Deno.readTextFile(record);
    const { rowDigest } = JSON.parse(text) as { rowDigest: string };
    await Deno.writeTextFile(record, text.replace(rowDigest, "0".repeat(rowDigest.length)));
    assert.match(await outsider.look(1) ?? "", /saw rows of digest \w+, published is 0+/);
    await Deno.writeTextFile(record, text);
    assert.equal(await outsider.look(1), null);
    await Deno.remove(segments, { recursive: true });
    assert.match(await outsider.look(1) ?? "", /a reader was turned away/);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** Readings of which each gives what it is told to, when it is told to. */
function readings() {
  const pending: PromiseWithResolvers<Seen>[] = [];
  const read = () => {
    const reading = Promise.withResolvers<Seen>();
    pending.push(reading);
    return reading.promise;
  };
  const upTo = (nextOffset: number): Seen => ({
    ...{ windows: [], rowDigest: rowDigest([]) },
    position: { nextOffset } as PositionRow,
  });
  return { outsider: new Outsider("", read), end: (i: number, at: number) => pending[i]!.resolve(upTo(at)) };
}

Deno.test("a reader that began before a faster one was done may see less than that one", async () => {
  const { outsider, end } = readings();
  const [slow, fast] = [outsider.look(1), outsider.look(1)];
  end(1, 62);
  assert.equal(await fast, null);
  end(0, 50);
  assert.equal(await slow, null);
});

Deno.test("a reader that begins after another was done may not see less than any before it", async () => {
  const { outsider, end } = readings();
  const [slow, fast] = [outsider.look(1), outsider.look(1)];
  end(1, 62);
  await fast;
  end(0, 50);
  await slow;
  const later = outsider.look(1);
  end(2, 61);
  assert.equal(await later, "a reader of partition 0 saw 62, then 61");
});
