/** One family of runs until something is seen: in a process of its own, in a copy of the project with a planted bug. */
import { difference, oracleLines, storedLines } from "./compare.ts";
import { foldPartition } from "./fold_run.ts";
import { generateLog } from "./generate.ts";
import { judgePartition } from "./oracle.ts";
import { runScenario } from "./pipeline.ts";
import { drawScenario, type IncidentKind } from "./scenario.ts";

const FIRST_SEED = 1;

async function see(family: string, seed: number): Promise<string | null> {
  if (family === "fold") return seeFold(seed);
  const boards = family === "board" ? "micropython" as const : "model" as const;
  const group: readonly IncidentKind[] = ["zombie", "log_doubled", "log_slow", "rebalance"];
  const scenario = drawScenario(seed, {
    ...{ devices: 3, hours: 0.5, boards },
    ...(family === "group" ? { faults: group } : {}),
    onFiles: family === "files",
  });
  const directory = family === "files" ? await Deno.makeTempDir({ prefix: "isotherm-mutant-" }) : null;
  try {
    return (await runScenario(scenario, { directory })).violation;
  } finally {
    if (directory !== null) await Deno.remove(directory, { recursive: true });
  }
}

function seeFold(seed: number): string | null {
  const { records, config, partitions } = generateLog(seed);
  for (let partition = 0; partition < partitions; partition++) {
    const expected = oracleLines(judgePartition(records, config, partition, partitions));
    for (const batchRecords of [1, 7, 5_000]) {
      const rebuild = seed % 2 === 1;
      const { rows, fold } = foldPartition(records, config, partition, partitions, { batchRecords, rebuild });
      const found = difference(
        storedLines({
          ...{ readings: rows.readings, quarantined: rows.quarantined, released: rows.released },
          ...{ windows: rows.windows.values(), open: fold.openRows() },
          ...{ devices: rows.devices.values(), boots: rows.boots.values() },
        }),
        expected,
      );
      if (found !== null) return found.missing[0] ?? found.unexpected[0] ?? "";
    }
  }
  return null;
}

if (import.meta.main) {
  const [family = "fold", seeds = "50"] = Deno.args;
  for (let seed = FIRST_SEED; seed < FIRST_SEED + Number(seeds); seed++) {
    // Tells that it goes on.
    console.log(`seed ${seed}`);
    let seen: string | null;
    try {
      seen = await see(family, seed);
    } catch (error) {
      seen = String(error);
    }
    if (seen === null) continue;
    console.log(JSON.stringify({ seeds: seed - FIRST_SEED + 1, seen: seen.slice(0, 200) }));
    Deno.exit(0);
  }
  console.log(JSON.stringify({ seeds: null, seen: null }));
  Deno.exit(0);
}
