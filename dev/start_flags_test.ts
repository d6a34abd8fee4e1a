/** Services are started with the same flags everywhere. */
import assert from "node:assert/strict";

for (const service of ["ingest", "aggregator"]) {
  Deno.test(`compose starts ${service} with the memory flags of the task, which are those that benchmarks measure`, async () => {
    const textOf = (file: string) => Deno.readTextFile(new URL(`../${file}`, import.meta.url));
    const flagsIn = (text: string) => text.match(/--v8-flags=[^\s"]+/g);
    const { tasks } = JSON.parse(await textOf("deno.json")) as { tasks: Record<string, { command: string }> };
    const flags = flagsIn(tasks[`start:${service}`]!.command);
    assert.equal(flags?.length, 1);
    const compose = await textOf("compose.yaml");
    const started = compose.slice(
      compose.indexOf(`\n  ${service}:`),
      compose.indexOf(`- ${service}/main.ts`),
    );
    assert.deepEqual(flagsIn(started), flags);
    if (service === "aggregator") assert.deepEqual(flagsIn(tasks["soak:year"]!.command), flags);
  });
}
