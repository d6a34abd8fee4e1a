import assert from "node:assert/strict";
import { defaultConfig } from "../core/config.ts";
import { digestText } from "../core/digest.ts";
import { foldPartition } from "../sim/fold_run.ts";
import { type BadInput, badInputs } from "./testing/bad_inputs.ts";
import { inWorld, START_MS, type World } from "./testing/world.ts";

const inputs = badInputs(START_MS);

Deno.test("the names of the bad inputs differ", () => {
  assert.equal(new Set(inputs.map(({ name }) => name)).size, inputs.length);
});

for (const input of inputs) {
  Deno.test(`${input.name}: ${sentence(input)}`, async () => {
    await inWorld(async ({ post, records }) => {
      const response = await post(input.body, { ...input.headers });
      const answer = await response.json();
      assert.equal(response.status, input.outcome.status, JSON.stringify(answer));
      if ("flagged" in input.outcome) {
        const flagged = answer.flagged.map((
          flag: { index: number; reason: string },
        ) => [flag.index, flag.reason]);
        assert.deepEqual(flagged, input.outcome.flagged);
        assert.equal(records().length, 1);
      } else {
        assert.equal(response.headers.get("content-type"), "application/problem+json");
        assert.equal(answer.type, `/reference#${input.outcome.problem}`);
        assert.equal(answer.status, input.outcome.status);
        const paths = answer.problems?.map(({ path }: { path: string }) => path);
        if (input.outcome.paths !== undefined) assert.deepEqual(paths, input.outcome.paths);
        assert.equal(records().length, 0);
      }
    });
  });
}

function sentence({ outcome }: BadInput): string {
  if (!("flagged" in outcome)) return `refused with ${outcome.status} as ${outcome.problem}`;
  const [flag] = outcome.flagged;
  return flag === undefined ? "taken" : `taken, its reading quarantined as ${flag[1]}`;
}

/** Ten minutes of three good devices, a batch a minute; `extra` is sent between them. */
async function goodDevices(
  { accepted, post, clock }: World,
  extra: readonly BadInput[],
): Promise<void> {
  for (let minute = 0; minute < 10; minute++) {
    for (const device of ["a", "b", "c"]) {
      const readings = [0, 1, 2].map((slot) => ({
        seq: 3 * minute + slot,
        ts: START_MS + 60_000 * minute + 20_000 * slot,
        temperature_c: 20 + slot,
        humidity_pct: 50,
      }));
      await accepted(JSON.stringify({ device, boot: 1, every_ms: 20_000, readings }));
    }
    const share = Math.ceil(extra.length / 10);
    for (const { body, headers } of extra.slice(minute * share, (minute + 1) * share)) {
      await post(body, { ...headers });
    }
    await clock.sleep(60_000);
  }
  // A last word of each device, so that its windows close.
  for (const device of ["a", "b", "c"]) {
    await accepted(
      JSON.stringify({ device, boot: 1, readings: [{ seq: 30, ts: START_MS + 700_000, humidity_pct: 50 }] }),
    );
  }
}

Deno.test("no bad input changes a row of another device", async () => {
  const digests: string[] = [];
  for (const extra of [[], inputs]) {
    await inWorld(async (world) => {
      await goodDevices(world, extra);
      const { rows } = foldPartition(world.records(), defaultConfig, 0, 1, { batchRecords: 50 });
      const good = [...rows.windows.values()].filter(({ device }) => ["a", "b", "c"].includes(device));
      digests.push(digestText(good));
    });
  }
  assert.ok(digests[0]!.includes('"a"|1m|'));
  assert.equal(digests[0], digests[1]);
});

Deno.test("the good readings of a batch with a bad one are counted", async () => {
  for (const input of inputs) {
    if (!("flagged" in input.outcome) || input.outcome.flagged.length === 0) continue;
    await inWorld(async ({ post, records }) => {
      await post(input.body, { ...input.headers });
      const { rows } = foldPartition(records(), defaultConfig, 0, 1, { batchRecords: 1 });
      assert.deepEqual(rows.readings.map(({ seq }) => seq), [0, 2], input.name);
      assert.deepEqual(rows.quarantined.map(({ index }) => index), [1], input.name);
    });
  }
});
