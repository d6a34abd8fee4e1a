/**
 * A process to be killed: appends to the embedded log at `Deno.args[0]`, several calls at a time, and writes
 * `partition offset value` for each record once it is acknowledged.
 */
import { newRecord } from "../../core/testing/log_contract.ts";
import { machineClock } from "../clock.ts";
import { openSqliteLog } from "../sqlite_log.ts";

const [path = "", run = ""] = Deno.args;
const log = await openSqliteLog({ path, partitions: 2, clock: machineClock });
const encoder = new TextEncoder();
await Promise.all([0, 1, 2, 3].map(async (caller) => {
  for (let i = 0;; i++) {
    const value = `${run}:${caller}:${i}`;
    const places = await log.writer.append([newRecord({ partition: caller % 2, value })]);
    for (const { partition, offset } of places) {
      Deno.stdout.writeSync(encoder.encode(`${partition} ${offset} ${value}\n`));
    }
  }
}));
