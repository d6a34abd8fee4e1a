import assert from "node:assert/strict";
import { WindowState } from "./accumulator.ts";
import { WindowPool } from "./window_pool.ts";

const reading = (value: number) => ({
  ...{ tsMs: 1_000 + value, boot: 1, seq: value, offset: value, index: 0, appendMs: 5, timeUncertain: true },
  ...{ temperatureMilliC: value, humidityMilliPct: 2 * value, fault: null, everyMs: 10, released: false },
});

/** Everything that can be seen of a window, private numbers included. */
const seen = (state: WindowState) => {
  const { temperature: _t, humidity: _h, ...fields } = state;
  return { ...fields, text: state.describe(true) };
};

/** One that has been through everything. */
function used(): WindowState {
  const state = new WindowState(0, 60_000, 120_000);
  for (let value = 1; value < 300; value++) state.addOpen(reading(value * 1_000_000));
  state.add({ ...reading(7), fault: "checksum" });
  state.closedBy = "silence";
  state.changedBy(7, 8);
  state.setRow({ ...state.row("desk", "1m"), revision: 3, late: 2 });
  state.hasAllValues = false;
  state.shownArrivals = state.drawnArrivals = 9;
  state.dirty = true;
  return state;
}

Deno.test("a state that is used again is as one that is new, and adds up the same", () => {
  const pool = new WindowPool(1);
  const state = used();
  pool.give(state);
  const again = pool.take(0, 180_000, 240_000);
  assert.equal(again, state, "it is used again");
  const fresh = new WindowState(0, 180_000, 240_000);
  assert.deepEqual(seen(again), seen(fresh));
  for (const each of [again, fresh]) for (let value = 1; value < 100; value++) each.addOpen(reading(-value));
  assert.deepEqual(seen(again), seen(fresh));
  assert.deepEqual(again.row("desk", "1m"), fresh.row("desk", "1m"));
});

Deno.test("a state is used once at a time, for windows of its own kind, and at most 4,096 wait", () => {
  const pool = new WindowPool(2);
  pool.give(new WindowState(1, 0, 10));
  const minute = pool.take(0, 0, 1);
  const day = pool.take(1, 0, 10);
  assert.notEqual(pool.take(1, 0, 10), day);
  assert.notEqual(minute, day);
  const given = new Set(Array.from({ length: 4_097 }, () => new WindowState(0, 0, 1)));
  for (const state of given) pool.give(state);
  const taken = Array.from({ length: 4_097 }, () => pool.take(0, 0, 1));
  assert.equal(taken.filter((state) => given.has(state)).length, 4_096);
  assert.equal(new Set(taken).size, 4_097);
});
