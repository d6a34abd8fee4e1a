/**
 * What every store has to do: one suite over `platform/duckdb/store.ts` (with its rows published and not),
 * `core/testing/memory_store.ts` and `sim/store.ts`.
 */
import assert from "node:assert/strict";
import type { Changes, Store, StoredState } from "../ports/store.ts";
import { reusedReadingsMin, StoreUnavailable } from "../ports/store.ts";
import { limits } from "../limits.ts";
import {
  alertRow,
  bootRow,
  changes,
  channelRow,
  deviceRow,
  emptyChannel,
  needs,
  positionRow,
  quarantineRow,
  readingBlock,
  readingRow,
  releaseRow,
  startMs,
  windowRow,
} from "./builders.ts";

const MINUTE_MS = 60_000;

/** A fresh place for one store, for one case. */
export interface StorePlace {
  /** Opens the store, the first time as a new one. */
  open(): Promise<Store>;
  /** Lets go of an open store without closing it, as a killed process does. */
  abandon(store: Store): Promise<void>;
  /** Called after every commit: a store may publish, merge, tidy up here. */
  afterCommit(store: Store): Promise<void>;
  /** Makes the next commit fail as a full disk does. Null where that can't be done. */
  readonly fill: (() => Promise<void>) | null;
  remove(): Promise<void>;
}

/** One implementation under the suite. */
export interface StoreUnderTest {
  readonly name: string;
  create(): Promise<StorePlace>;
  /** Surrounds a case, for a store that lives in virtual time. */
  readonly run?: (body: () => Promise<void>) => Promise<void>;
}

interface Opened {
  readonly place: StorePlace;
  readonly store: Store;
  /** Commits, then lets the store tidy up. */
  readonly commit: (changes: Changes) => Promise<void>;
  /** Closes the store and opens it again. */
  readonly reopen: () => Promise<Opened>;
  /** Abandons the store and opens it again. */
  readonly crash: () => Promise<Opened>;
}

const fromNull = (watermarkMs: number | null) => watermarkMs ?? -Infinity;
const fromMinute = (watermarkMs: number | null) =>
  watermarkMs === null ? -Infinity : Math.floor(watermarkMs / MINUTE_MS) * MINUTE_MS;

const inOrder = (left: string, right: string) => left < right ? -1 : left > right ? 1 : 0;

/** A store may give devices, boots and windows in any order. */
function sorted(state: StoredState): StoredState {
  return {
    ...state,
    devices: state.devices.toSorted((left, right) => inOrder(left.device, right.device)),
    boots: state.boots.toSorted((left, right) =>
      inOrder(left.device, right.device) || left.boot - right.boot
    ),
    closedAhead: state.closedAhead.toSorted((left, right) => left.startMs - right.startMs),
  };
}

/** Numbers that are hard on a store: 53 bits, negative, large squares, every null. */
const extremeReading = readingRow({
  device: "Küche 🌡 mit einem langen Namen, der nicht in zwölf Byte passt",
  boot: Number.MAX_SAFE_INTEGER,
  seq: 9_999_999_999,
  tsMs: 9_999_999_999_999,
  appendMs: 1,
  offset: 4_503_599_627_370_497,
  index: 4_095,
  temperatureMilliC: -1_000_000_000,
  humidityMilliPct: 1_000_000_000,
  fault: "exactly 12ch",
  flag: "thirteen char",
  late: true,
  timeUncertain: true,
  released: true,
  everyMs: 86_400_000,
});
const emptyReading = readingRow({
  device: "",
  boot: null,
  seq: null,
  tsMs: 1_420_070_400_000,
  offset: 7,
  temperatureMilliC: null,
  humidityMilliPct: null,
  everyMs: null,
});
const extremeWindow = windowRow({
  startMs: startMs + MINUTE_MS,
  everyMs: null,
  closedBy: "silence",
  temperature: channelRow(-40_000, {
    count: Number.MAX_SAFE_INTEGER,
    sum: -Number.MAX_SAFE_INTEGER,
    sumSquares: 10n ** 37n + 1n,
    firstKey: "a key that is longer than twelve bytes",
    p50: null,
    p95: null,
  }),
  humidity: emptyChannel,
});

const cases = {
  async "alerts, their rules and their state are there after a crash: the newest of each"(
    { commit, crash }: Opened,
  ) {
    const rule = { partition: 0, name: "warm", position: 0, definition: '{"name":"warm"}', sinceMs: startMs };
    const silent = alertRow({
      ...{ offset: 2, index: 1, kind: "cleared", rule: "silent", valueMilli: null, windowSize: null },
      ...{ startMs: null, isPast: true, sentence: "the rule was changed: a text of some length" },
    });
    await commit(changes({
      alerts: {
        alerts: [alertRow()],
        rules: [rule, { ...rule, name: "cold", position: 1 }],
        states: [{ device: "desk", state: "{}" }, { device: "attic", state: '{"firing":{}}' }],
      },
    }));
    await commit(changes({
      position: positionRow({ nextOffset: 3 }),
      alerts: {
        alerts: [alertRow({ offset: 2, previousStartMs: startMs - MINUTE_MS }), silent],
        rules: [{ ...rule, name: "cold", position: 1, definition: null, sinceMs: startMs + 1 }],
        states: [{ device: "desk", state: '{"to":{"1m":1}}' }],
      },
    }));
    const { store } = await crash();
    const { rules, states, newest } = (await store.load(fromNull)).alerts;
    assert.deepEqual(rules.toSorted((left, right) => right.position - left.position), [
      { ...rule, name: "cold", position: 1, definition: null, sinceMs: startMs + 1 },
      rule,
    ]);
    assert.deepEqual(states.toSorted((left, right) => inOrder(left.device, right.device)), [
      { device: "attic", state: '{"firing":{}}' },
      { device: "desk", state: '{"to":{"1m":1}}' },
    ]);
    assert.deepEqual(newest, [
      alertRow(),
      alertRow({ offset: 2, previousStartMs: startMs - MINUTE_MS }),
      silent,
    ]);
  },

  async "of many alerts the newest are remembered, in order"({ commit, reopen }: Opened) {
    const count = limits.alertsRememberedMax + 20;
    for (let offset = 0; offset < 4; offset++) {
      await commit(changes({
        position: positionRow({ nextOffset: offset + 1 }),
        alerts: {
          alerts: Array.from({ length: count / 4 }, (_, index) => alertRow({ offset, index })),
          rules: [],
          states: [],
        },
      }));
    }
    const { store } = await reopen();
    const { newest } = (await store.load(fromNull)).alerts;
    const places = newest.map(({ offset, index }) => offset * 1_000 + index);
    assert(newest.length >= limits.alertsRememberedMax);
    assert.deepEqual(places, places.toSorted((left, right) => left - right));
    assert.equal(places.at(-1), 3_000 + count / 4 - 1);
    assert.equal(new Set(places).size, places.length);
  },

  async "a new store is empty"({ store }: Opened) {
    assert.deepEqual(await store.load(fromNull), {
      position: null,
      devices: [],
      boots: [],
      closedAhead: [],
      openReadings: [],
      alerts: { rules: [], states: [], newest: [] },
    });
    const wanted = needs({
      readings: [{ device: "desk", fromMs: 0, toMs: Infinity }],
      windows: [{ device: "desk", windowSize: "1m", startMs }],
    });
    assert.deepEqual(await store.lookup(wanted), { readings: [], quarantined: [], windows: [] });
    assert.deepEqual(await store.lookup(needs()), { readings: [], quarantined: [], windows: [] });
  },

  async "a transaction is there whole after a crash, values exact to the last digit"(
    { commit, crash }: Opened,
  ) {
    const position = positionRow({ nextOffset: 8, lastOffset: 7, lastHash: "ab".repeat(32), epoch: 3 });
    const device = deviceRow({ device: extremeReading.device, displayName: "Küche", watermarkMs: startMs });
    const nameless = deviceRow({ device: "" });
    const desk = deviceRow({ watermarkMs: startMs + 2 * MINUTE_MS });
    const boot = bootRow({ boot: Number.MAX_SAFE_INTEGER, heard: false, firstEventMs: null, spans: "" });
    await commit(changes({
      position,
      readings: [emptyReading, extremeReading],
      quarantined: [quarantineRow({ tsMs: null, offset: 1 }), quarantineRow({ offset: 2 })],
      released: [releaseRow()],
      windows: [windowRow(), extremeWindow],
      devices: [nameless, desk, device],
      boots: [boot],
    }));
    const { store } = await crash();
    const state = sorted(await store.load(fromNull));
    assert.deepEqual(state, {
      position,
      devices: [nameless, device, desk],
      boots: [boot],
      closedAhead: [],
      openReadings: [emptyReading, extremeReading],
      alerts: { rules: [], states: [], newest: [] },
    });
    const known = await store.lookup(needs({
      readings: [
        { device: "", fromMs: -Infinity, toMs: Infinity },
        { device: extremeReading.device, fromMs: extremeReading.tsMs, toMs: extremeReading.tsMs + 1 },
        { device: "desk", fromMs: startMs, toMs: startMs + 1 },
      ],
      windows: [
        { device: "desk", windowSize: "1m", startMs },
        { device: "desk", windowSize: "1m", startMs: startMs + MINUTE_MS },
      ],
    }));
    assert.deepEqual(known, {
      readings: [emptyReading, extremeReading],
      quarantined: [quarantineRow({ offset: 2 })],
      windows: [windowRow(), extremeWindow],
    });
  },

  async "of several versions of device and boot the newest is loaded"(
    { commit, reopen }: Opened,
  ) {
    await commit(
      changes({ devices: [deviceRow(), deviceRow({ device: "attic" })], boots: [bootRow({ boot: 2 })] }),
    );
    await commit(
      changes({ devices: [deviceRow({ counted: 2 })], boots: [bootRow({ boot: 2, slots: 5 }), bootRow()] }),
    );
    await commit(changes({ position: positionRow({ nextOffset: 9 }) }));
    const { store } = await reopen();
    const { position, devices, boots } = sorted(await store.load(fromNull));
    assert.equal(position?.nextOffset, 9);
    assert.deepEqual(devices, [deviceRow({ device: "attic" }), deviceRow({ counted: 2 })]);
    assert.deepEqual(boots, [bootRow(), bootRow({ boot: 2, slots: 5 })]);
  },

  async "readings are loaded from where open windows start, each device by its own watermark"(
    { commit, reopen }: Opened,
  ) {
    const at = (device: string, minute: number, offset: number) =>
      readingRow({ device, tsMs: startMs + minute * MINUTE_MS, offset });
    await commit(changes({
      readings: [at("desk", 0, 0), at("attic", 0, 1), at("desk", 1, 2)],
      devices: [deviceRow({ watermarkMs: startMs }), deviceRow({ device: "attic" })],
    }));
    await commit(changes({
      readings: [at("desk", 2, 3), at("attic", 5, 4), at("cellar", 9, 5)],
      devices: [
        deviceRow({ watermarkMs: startMs + MINUTE_MS + 1 }),
        deviceRow({ device: "cellar", watermarkMs: startMs + 9 * MINUTE_MS }),
      ],
    }));
    const { store } = await reopen();
    const { openReadings } = await store.load(fromMinute);
    assert.deepEqual(openReadings, [
      at("attic", 0, 1),
      at("desk", 1, 2),
      at("desk", 2, 3),
      at("attic", 5, 4),
      at("cellar", 9, 5),
    ]);
  },

  async "windows that silence closed ahead of the watermark are loaded in their newest version"(
    { commit, reopen }: Opened,
  ) {
    const silent = (minute: number, fields = {}) =>
      windowRow({ startMs: startMs + minute * MINUTE_MS, closedBy: "silence", ...fields });
    await commit(changes({
      windows: [silent(0), silent(1), silent(2), silent(7, { device: "attic" })],
      devices: [deviceRow({ watermarkMs: startMs }), deviceRow({ device: "attic" })],
    }));
    await commit(changes({
      windows: [silent(2, { revision: 1, replaces: 0 })],
      devices: [deviceRow({ watermarkMs: startMs + MINUTE_MS })],
    }));
    await commit(changes({ position: positionRow({ nextOffset: 3 }) }));
    const { store } = await reopen();
    const { closedAhead } = sorted(await store.load(fromNull));
    assert.deepEqual(closedAhead, [
      silent(1),
      silent(2, { revision: 1, replaces: 0 }),
      silent(7, { device: "attic" }),
    ]);
  },

  async "a lookup finds readings by device and half-open span, each once, in log order"(
    { store, commit }: Opened,
  ) {
    const at = (second: number, offset: number, index = 0, device = "desk") =>
      readingRow({ device, tsMs: startMs + second * 1_000, offset, index });
    await commit(changes({ readings: [at(9, 0, 0), at(10, 0, 1), at(12, 1)] }));
    await commit(changes({ readings: [at(11, 2), at(10, 3, 0, "attic"), at(-86_400 * 80, 4)] }));
    const span = (from: number, to: number, device = "desk") => ({
      device,
      fromMs: startMs + from * 1_000,
      toMs: startMs + to * 1_000,
    });
    const { readings } = await store.lookup(needs({ readings: [span(10, 12), span(9, 11), span(10, 12)] }));
    assert.deepEqual(readings.filter((row) => row.device === "desk"), [at(9, 0, 0), at(10, 0, 1), at(11, 2)]);
    const apart = await store.lookup(needs({ readings: [span(-86_400 * 80, -86_400 * 79), span(12, 13)] }));
    assert.deepEqual(apart.readings, [at(12, 1), at(-86_400 * 80, 4)]);
    assert.deepEqual((await store.lookup(needs({ readings: [span(0, 99, "cellar")] }))).readings, []);
  },

  async "a lookup finds the newest version of a window, whichever transaction it came in"(
    { store, commit }: Opened,
  ) {
    const version = (revision: number) =>
      windowRow({ revision, replaces: revision === 0 ? null : revision - 1, readings: revision + 1 });
    const other = windowRow({ windowSize: "1h", endMs: startMs + 60 * MINUTE_MS });
    const wanted = needs({ windows: [{ device: "desk", windowSize: "1m", startMs }] });
    await commit(changes({ windows: [version(0), other] }));
    assert.deepEqual((await store.lookup(wanted)).windows, [version(0)]);
    await commit(changes({ windows: [version(1)] }));
    assert.deepEqual((await store.lookup(wanted)).windows, [version(1)]);
    await commit(changes({ windows: [windowRow({ device: "attic" })] }));
    await commit(changes({ windows: [version(2)] }));
    assert.deepEqual((await store.lookup(wanted)).windows, [version(2)]);
    const both = needs({
      windows: [{ device: "desk", windowSize: "1m", startMs }, { device: "desk", windowSize: "1h", startMs }],
    });
    const { windows } = await store.lookup(both);
    assert.deepEqual(windows.toSorted((left, right) => left.endMs - right.endMs), [version(2), other]);
  },

  async "a lookup finds quarantined readings by device and span"({ store, commit }: Opened) {
    await commit(
      changes({ quarantined: [quarantineRow(), quarantineRow({ offset: 1, tsMs: startMs + 5_000 })] }),
    );
    await commit(changes({ quarantined: [quarantineRow({ offset: 2, device: null })] }));
    const wanted = needs({ readings: [{ device: "desk", fromMs: startMs, toMs: startMs + 5_000 }] });
    assert.deepEqual((await store.lookup(wanted)).quarantined, [quarantineRow()]);
  },

  async "thousands of rows in one transaction are all there, nulls where they were"(
    { store, commit }: Opened,
  ) {
    const rows = Array.from({ length: 5_000 }, (_, index) =>
      readingRow({
        device: index % 3 === 0 ? "a device with a long name" : "desk",
        seq: index,
        tsMs: startMs + index,
        offset: Math.floor(index / 10),
        index: index % 10,
        temperatureMilliC: index % 64 === 63 ? null : index,
        fault: index % 64 === 63 ? "timeout" : null,
      }));
    await commit(changes({ readings: rows }));
    const { readings } = await store.lookup(needs({
      readings: ["desk", "a device with a long name"].map((device) => ({
        device,
        fromMs: startMs,
        toMs: startMs + 5_000,
      })),
    }));
    assert.deepEqual(readings, rows);
  },

  async "the columns of many readings can be used again once they are committed"({ store, commit }: Opened) {
    const rows = (from: number) =>
      Array.from({ length: reusedReadingsMin }, (_, index) => {
        const number = from + index;
        return readingRow({
          seq: number,
          tsMs: startMs + number,
          offset: number,
          temperatureMilliC: number % 999,
        });
      });
    const block = readingBlock(rows(0));
    await commit(changes({ readings: block }));
    block.clear();
    assert.equal(block.length, 0);
    block.devices.push("desk");
    for (const row of rows(reusedReadingsMin)) block.pushRow(row, 0, -1);
    await commit(changes({ readings: block }));
    const span = { device: "desk", fromMs: startMs, toMs: startMs + 1_000_000 };
    const { readings } = await store.lookup(needs({ readings: [span] }));
    assert.deepEqual(readings, [...rows(0), ...rows(reusedReadingsMin)]);
  },

  async "readings in columns are the rows that they stand for, nulls, causes and marks included"(
    { store, commit }: Opened,
  ) {
    const rows = Array.from({ length: 5_000 }, (_, index) =>
      readingRow({
        device: ["desk", "attic", "a device with a long name"][index < 2_500 ? index % 2 : index % 3]!,
        boot: index % 5 === 0 ? null : 2 ** 53 - 1 - index,
        seq: index % 7 === 0 ? null : 9_999_999_999 - index,
        tsMs: startMs + index,
        appendMs: startMs + 2 * index,
        offset: 5_000_000_000 + index,
        index: index % 10,
        temperatureMilliC: index % 11 === 0 ? null : index - 40_000,
        humidityMilliPct: index % 13 === 0 ? null : index,
        fault: index === 3_000 ? "timeout" : null,
        flag: index === 4_000 ? "stuck" : null,
        late: index % 2 === 0,
        timeUncertain: index % 3 === 0,
        released: index % 4 === 0,
        everyMs: index % 17 === 0 ? null : 86_400_000 - index,
      }));
    const block = readingBlock(rows);
    assert.deepEqual([...block], rows);
    await commit(changes({ readings: block }));
    const span = { fromMs: startMs, toMs: startMs + 5_000 };
    const asked = ["desk", "attic", "a device with a long name"].map((device) => ({ device, ...span }));
    assert.deepEqual((await store.lookup(needs({ readings: asked }))).readings, rows);
  },

  async "a commit that fails keeps nothing, and the next one succeeds"(
    { place, store, commit, reopen }: Opened,
  ) {
    await commit(changes({ readings: [readingRow()], devices: [deviceRow()] }));
    if (place.fill === null) return;
    await place.fill();
    const refused = changes({
      position: positionRow({ nextOffset: 2 }),
      readings: Array.from({ length: 3_000 }, (_, index) => readingRow({ offset: 1, index, seq: index + 1 })),
      devices: [deviceRow({ counted: 3_001 })],
    });
    await assert.rejects(store.commit(refused), StoreUnavailable);
    const after = await store.load(fromNull);
    assert.equal(after.position?.nextOffset, 1);
    assert.equal(after.openReadings.length, 1);
    await commit(changes({ position: positionRow({ nextOffset: 3 }), devices: [deviceRow({ counted: 2 })] }));
    const { store: again } = await reopen();
    const state = await again.load(fromNull);
    assert.equal(state.position?.nextOffset, 3);
    assert.deepEqual(state.devices, [deviceRow({ counted: 2 })]);
    assert.equal(state.openReadings.length, 1);
  },
};

/** Registers the suite for one store; `register` is `Deno.test`. */
export function storeContract(
  test: StoreUnderTest,
  register: (definition: { name: string; fn: () => Promise<void> }) => void,
): void {
  const { run = (body) => body() } = test;
  for (const [name, body] of Object.entries(cases)) {
    register({ name: `${test.name}: ${name}`, fn: () => run(() => runCase(test, body)) });
  }
}

async function runCase(test: StoreUnderTest, body: (opened: Opened) => Promise<void>): Promise<void> {
  const place = await test.create();
  let current: Store | null = null;
  const open = async (): Promise<Opened> => {
    const store = await place.open();
    current = store;
    return {
      place,
      store,
      async commit(transaction) {
        await store.commit(transaction);
        await place.afterCommit(store);
      },
      async reopen() {
        await store.close();
        return await open();
      },
      async crash() {
        await place.abandon(store);
        return await open();
      },
    };
  };
  try {
    await body(await open());
  } finally {
    await (current as Store | null)?.close();
    await place.remove();
  }
}
