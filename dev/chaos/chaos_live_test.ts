/** A minute of chaos on a real broker; an hour of it is `deno task soak:chaos`. Needs Java 17 and Maven. */
import assert from "node:assert/strict";
import { runChaos } from "./chaos.ts";
import { chaosKinds } from "./plan.ts";

Deno.test({
  name:
    "a minute of kills, stops, restarts, a full disk and a bad network: the rows are what the boards measured",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const lines: string[] = [];
    const { violation, incidents, outcomes, records } = await runChaos(
      { minutes: 1, seed: 1, boards: 6 },
      (line) => lines.push(line),
    );
    console.log(lines.join("\n"));
    assert.equal(violation, null);
    const isMounted = !lines.some((line) => line.startsWith("no disk is filled"));
    for (const kind of Object.keys(chaosKinds)) {
      if (kind !== "disk_full" || isMounted) assert.ok((incidents[kind] ?? 0) > 0, `${kind} happened`);
    }
    assert.ok((outcomes["counted"] ?? 0) > 200, JSON.stringify(outcomes));
    assert.ok((outcomes["closed by watermark"] ?? 0) > 0, "windows close while everything goes wrong");
    // A slow machine sends fewer and larger batches.
    assert.ok(records > 20, `${records} records`);
  },
});
