import { killDuringImport } from "./testing/kill.ts";

Deno.test("dev killed 3 times during an import has lost nothing, doubled nothing, and the rows of an undisturbed aggregator", async () => {
  await killDuringImport({ kills: 3, rows: 8_000, readingsPerLifeMax: 1_000, seed: 1 });
});
