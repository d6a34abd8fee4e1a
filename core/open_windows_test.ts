import assert from "node:assert/strict";
import { CHANNEL_CELLS } from "./accumulator.ts";
import { defaultConfig } from "./config.ts";
import { OPEN_BLOCK_WINDOWS, type OpenWindowBlock } from "./open_window_block.ts";
import { openWindowsOf } from "./open_windows.ts";
import { Partition } from "./partition.ts";
import type { OpenWindows } from "./ports/publisher.ts";

const START_MS = 1_767_225_600_000;
const MINUTE_MS = 60_000;
const encoder = new TextEncoder();

/** A device's reading: minutes from the start until it is appended, and how old it is then. */
interface Sent {
  readonly device: number;
  readonly afterMs: number;
  readonly ageMs: number;
}

/** Folds records and takes them into a transaction. */
function folding() {
  const fold = new Partition(defaultConfig, 0, 1);
  let [offset, appendMs] = [0, START_MS];
  return {
    fold,
    send(sent: readonly Sent[]): void {
      const records = sent.map(({ device, afterMs, ageMs }) => {
        appendMs += afterMs;
        const [seq, ts] = [offset, appendMs - ageMs];
        const value = { device: `d${device}`, boot: 1 + device, seq, ts, temperature_c: seq % 40 };
        const text = encoder.encode(JSON.stringify(value));
        return { partition: 0, offset: offset++, appendMs, key: value.device, value: text, headers: {} };
      });
      fold.apply(fold.prepare(records), { readings: [], quarantined: [], windows: [] });
      fold.takeChanges(null, "");
    },
  };
}

type Shown = Map<string, { readonly readings: number; readonly cells: string }>;

/** What a reader has of a whole drawing and the changes after it. */
function show(shown: Shown, open: OpenWindows, which: "all" | "changed"): void {
  if (which === "all") shown.clear();
  for (const block of open.draw(which)) {
    for (let at = 0; at < block.length; at++) {
      const key = `${block.devices[at]} ${block.sizes[at]} ${block.startMs[at]}`;
      if (block.closed[at] === 1) assert.ok(shown.delete(key), `${key} was shown before it closed`);
      else shown.set(key, { readings: block.readings[at]!, cells: cellsOf(block, at) });
    }
  }
}

/** All numbers of a window; the sums of squares as one, however they are carried. */
function cellsOf({ cells, carried, percentiles }: OpenWindowBlock, at: number): string {
  const channels = [0, 1].map((channel) => {
    const place = 2 * at + channel;
    const own = [...cells.subarray(CHANNEL_CELLS * place, CHANNEL_CELLS * (place + 1))];
    const squares = carried[place]! + BigInt(own.splice(2, 1)[0]!);
    return `${squares} ${own.join()}`;
  });
  return `${channels.join()} ${percentiles.subarray(4 * at, 4 * at + 4).join()}`;
}

/** Numbers below `bound`, the same for the same seed. */
function numbersFrom(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(state / 2 ** 32 * bound);
  };
}

Deno.test("a drawing of all and those of changes after it are what is open, whatever happens in between", () => {
  let changes = 0;
  for (let seed = 1; seed <= 200; seed++) {
    const below = numbersFrom(seed);
    const { fold, send } = folding();
    const shown: Shown = new Map();
    show(shown, fold.openWindows(), "all");
    for (let step = 0; step < 12; step++) {
      send(Array.from({ length: below(6) }, () => ({
        device: below(5),
        afterMs: below(2) === 0 ? 1_000 : below(8 * MINUTE_MS),
        ageMs: below(2) === 0 ? 0 : below(3 * MINUTE_MS),
      })));
      const open = fold.openWindows();
      const which = below(8) === 0 ? "all" : "changed";
      if (which === "changed") changes += open.changedCount;
      show(shown, open, which);
      const whole: Shown = new Map();
      show(whole, openWindowsOf(fold.openRows()), "all");
      const text = (of: Shown) =>
        [...of].map(([key, { readings, cells }]) => `${key} ${readings} ${cells}`).sort();
      assert.deepEqual(text(shown), text(whole), `seed ${seed}, step ${step}`);
    }
  }
  assert.ok(changes > 3_000, `${changes} windows were drawn as changes`);
});

Deno.test("a window in which nothing has arrived since is not drawn again, and what has closed is drawn once", () => {
  const { fold, send } = folding();
  const draw = (which: "all" | "changed") => {
    const drawn: string[] = [];
    for (const block of fold.openWindows().draw(which)) {
      for (let at = 0; at < block.length; at++) {
        drawn.push(`${block.devices[at]} ${block.sizes[at]}${block.closed[at] === 1 ? " closed" : ""}`);
      }
    }
    return drawn;
  };
  send([{ device: 0, afterMs: 0, ageMs: 0 }, { device: 1, afterMs: 0, ageMs: 0 }]);
  assert.equal(fold.openWindows().changedCount, 6);
  assert.deepEqual(draw("all"), ["d0 1m", "d0 1h", "d0 1d", "d1 1m", "d1 1h", "d1 1d"]);
  assert.equal(fold.openWindows().changedCount, 0);
  assert.deepEqual(draw("changed"), []);
  send([{ device: 1, afterMs: 1_000, ageMs: 0 }]);
  assert.equal(fold.openWindows().changedCount, 3);
  assert.deepEqual(draw("changed"), ["d1 1m", "d1 1h", "d1 1d"]);
  send([{ device: 0, afterMs: 2 * MINUTE_MS, ageMs: 0 }]);
  assert.deepEqual(draw("changed"), ["d0 1m closed", "d0 1m", "d0 1h", "d0 1d"]);
  assert.deepEqual(draw("changed"), []);
});

Deno.test("windows are drawn in one block of at most 2,048 that is used again", () => {
  const { fold, send } = folding();
  send(Array.from({ length: 1_500 }, (_, device) => ({ device, afterMs: 0, ageMs: 0 })));
  const blocks = new Set<OpenWindowBlock>();
  const lengths: number[] = [];
  for (const block of fold.openWindows().draw("all")) {
    blocks.add(block);
    lengths.push(block.length);
  }
  assert.deepEqual(lengths, [OPEN_BLOCK_WINDOWS, OPEN_BLOCK_WINDOWS, 404]);
  assert.equal(blocks.size, 1);
});

Deno.test("more closed windows than are remembered make a drawing of all", () => {
  const { fold, send } = folding();
  const devices = 16_385;
  const all = (afterMs: number) =>
    send(
      Array.from(
        { length: devices },
        (_, device) => ({ device, afterMs: device === 0 ? afterMs : 0, ageMs: 0 }),
      ),
    );
  all(0);
  assert.equal([...fold.openWindows().draw("all")].length, Math.ceil(3 * devices / OPEN_BLOCK_WINDOWS));
  all(2 * MINUTE_MS);
  assert.equal(fold.openWindows().changedCount, Infinity);
  assert.throws(() => [...fold.openWindows().draw("changed")], /what has changed is known/);
  const shown: Shown = new Map();
  show(shown, fold.openWindows(), "all");
  assert.equal(shown.size, fold.openRows().length);
  assert.equal(fold.openWindows().changedCount, 0);
});
