/** `deno task chaos`: see `options.ts` for what it can be told and `docs/simulation.md` for what it shows. */
import { runChaos } from "./chaos.ts";
import { chaosHelp, parseChaosOptions } from "./options.ts";

export async function main(args: readonly string[]): Promise<number> {
  const parsed = parseChaosOptions(args);
  if (parsed.kind === "help") {
    console.log(chaosHelp);
    return 0;
  }
  if (parsed.kind === "problems") {
    for (const problem of parsed.problems) console.error(problem);
    return 2;
  }
  const { incidents, outcomes, requests, records, violation } = await runChaos(parsed.options, console.log);
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of).map(([name, count]) => `${name} ${count}`).join(", ");
  console.log(`incidents: ${counts(incidents)}`);
  console.log(`outcomes: ${counts(outcomes)}`);
  console.log(`${requests} requests, ${records} records`);
  console.log(
    violation ?? "the rows are what the boards measured and what the oracle finds; both balances hold",
  );
  return violation === null ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
