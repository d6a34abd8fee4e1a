import assert from "node:assert/strict";
import { runScenario } from "../pipeline.ts";
import { drawScenario } from "../scenario.ts";
import { storyData } from "./data.ts";
import { storyPage } from "./page.ts";
import type { Story } from "./story.ts";

/** A board whose third request is answered and not heard of. */
async function told(): Promise<Story> {
  const drawn = drawScenario(2, { devices: 1, hours: 0.1, faults: [] });
  const boards = drawn.boards.map((board) => ({
    ...board,
    ...{
      everyMs: 10_000,
      flushReadings: 1,
      sendEveryMs: 10_000,
      clock: { kind: "good" as const, driftPpm: 0 },
    },
  }));
  const incidents = [
    { kind: "answer_lost" as const, atMs: 100_000, board: 0, count: 1 },
    { kind: "rebalance" as const, atMs: 150_000, count: 1 },
  ];
  const { story, violation } = await runScenario({ ...drawn, boards, incidents }, {
    directory: null,
    tells: true,
  });
  assert.equal(violation, null);
  return story!;
}

Deno.test("a reading is followed from the wire to its row: requests, records, row, windows", async () => {
  const data = storyData(await told());
  const twice = data.readings.find(({ requests }) => requests.length === 2)!;
  assert.equal(twice.records.length, 2, "it stands in the log twice");
  assert.match(twice.row ?? "", /^counted/);
  assert.match(twice.said, /^-?\d+(\.\d)? °C, \d+(\.\d)? %$/);
  assert.deepEqual(twice.requests.map((i) => data.requests[i]?.fault), ["answer_lost", null]);
  assert.ok(twice.windows.length >= 1);
  for (const i of twice.windows) {
    const { device, startMs, endMs } = data.windows[i]!;
    assert.equal(device, data.boards[twice.board]);
    assert.ok(startMs <= twice.measuredMs + 1_000 && twice.measuredMs < endMs + 1_000);
  }
  assert.deepEqual(data.incidents.map(({ lane }) => lane), [0, "aggregator"]);
});

Deno.test("a run without anyone to tell keeps nothing", async () => {
  const { story } = await runScenario(drawScenario(2, { devices: 1, hours: 0.02 }), { directory: null });
  assert.equal(story, null);
});

Deno.test("the page asks nobody, and a hostile name stays text", async () => {
  const name = "</script><img src=x onerror=alert(1)>\u2028";
  const story = await told();
  const scenario = {
    ...story.scenario,
    boards: story.scenario.boards.map((board) => ({ ...board, device: name })),
  };
  const page = storyPage({ ...story, scenario, violation: `<b>${name}` });
  assert.equal(page.split("</script>").length - 1, 2, "the data and the page's own");
  assert.doesNotMatch(page, /<img|<b>/);
  assert.match(page, /default-src 'none'; script-src 'sha256-/);
  const addresses = page.match(/\w+:\/\/[^"' ]+/g) ?? [];
  assert.deepEqual(addresses, ["http://www.w3.org/2000/svg"], "a name of a notation, not an address");
});
