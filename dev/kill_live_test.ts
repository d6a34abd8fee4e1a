import { killDuringImport } from "./testing/kill.ts";

Deno.test("dev killed 20 times during an import has lost nothing, doubled nothing, and the rows of an undisturbed aggregator", async () => {
  await killDuringImport({ kills: 20, rows: 40_000, readingsPerLifeMax: 2_000, seed: 2 });
});
