/**
 * `deno task bench:sim [BOARDS [HOURS [memory|files]]]`: a fleet of model boards that sample every 10 s with the whole pipeline in
 * virtual time, calm and with every fault, rows in memory and in DuckDB files. Prints wall time, CPU time and how many
 * times real time that is; the quiet phase counts as time, since boards' readings of the whole run are judged and
 * compared with both oracles in it.
 */
import process from "node:process";
import { runScenario } from "../sim/pipeline.ts";
import { drawScenario, type Scenario } from "../sim/scenario.ts";

const [boards = 100, hours = 1] = Deno.args.slice(0, 2).map(Number);
const only = Deno.args[2] ?? "both";
if (!Number.isInteger(boards) || boards < 1 || !(hours > 0) || !["memory", "files", "both"].includes(only)) {
  console.error("usage: deno task bench:sim [BOARDS, a whole number from 1] [HOURS, above 0] [memory|files]");
  Deno.exit(2);
}

function fleet(faults: "none" | "all"): Scenario {
  const drawn = drawScenario(1, { devices: boards, hours, ...(faults === "none" ? { faults: [] } : {}) });
  const calm = drawn.boards.map((board) => ({
    ...board,
    ...{ everyMs: 10_000, sendEveryMs: 30_000, batchReadingsMax: 60, flashReadingsMax: 5_000 },
  }));
  return { ...drawn, boards: calm };
}

for (const faults of ["none", "all"] as const) {
  for (const store of ["memory", "files"] as const) {
    if (only !== "both" && only !== store) continue;
    const directory = store === "files" ? await Deno.makeTempDir({ prefix: "isotherm-bench-sim-" }) : null;
    try {
      const startedMs = performance.now();
      const before = process.cpuUsage();
      const { violation, virtualMs, events, records, digest } = await runScenario(fleet(faults), {
        directory,
      });
      const wallS = (performance.now() - startedMs) / 1_000;
      const { user, system } = process.cpuUsage(before);
      console.log(
        `${boards} boards, ${hours} h, faults ${faults}, rows in ${store}: ${wallS.toFixed(1)} s, ` +
          `${((user + system) / 1e6).toFixed(1)} CPU s; ${
            Math.round(virtualMs / 1_000 / wallS)
          } × real time ` +
          `(${
            Math.round((hours * 3_600) / wallS)
          } × without the quiet phase); ${events} events, ${records} records, ` +
          `${violation ?? `digest ${digest.slice(0, 16)}`}`,
      );
    } finally {
      if (directory !== null) await Deno.remove(directory, { recursive: true });
    }
  }
}
