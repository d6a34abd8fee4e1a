import assert from "node:assert/strict";
import { dataPaths } from "../platform/duckdb/published.ts";
import { Outsider } from "./outsider.ts";
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
