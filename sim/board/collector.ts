/**
 * Garbage collection while Python is suspended.
 *
 * This port of MicroPython collects only when the outermost call from JavaScript returns; a firmware's main loop never
 * returns, so its heap would grow for ever. With the C variable `external_call_depth` at 0 for one harmless call, the
 * pending collection runs. The variable's address is found by experiment and the effect is tested, once a process:
 * another build of the package fails there, loudly.
 *
 * A collection sees globals and the Python stack, not what only a C function's local variable holds. So it may run only
 * at safe points: where the event loop waits, every task is a suspended generator and no C function is below.
 */
import { createRealm, type Realm } from "./realm.ts";

const DEPTHS = [0, 1, 2, 3, 4, 0] as const;
/** C's variables lie at the bottom of memory; the search goes no further. */
const SEARCH_BYTES = 1 << 20;
const quiet = { nowMs: () => 0, ticksMs: () => 0, random: { uint32: () => 1 }, output: () => {} };

/** A function that collects `realm`'s garbage although Python is in the middle of a call. */
export type Collect = () => void;

/** Finds the variable and tests the effect; once a process. */
export async function makeCollectorFactory(): Promise<(realm: Realm) => Collect> {
  const address = await findCallDepth();
  const factory = (realm: Realm) => collectorAt(realm, address);
  await selfTest(factory);
  return factory;
}

/** Memory is photographed in calls nested 0 to 4 deep; one word alone counts along. */
async function findCallDepth(): Promise<number> {
  const realm = await createRealm(quiet);
  const snapshots: Uint32Array[] = [];
  const snap = () => snapshots.push(new Uint32Array(realm.memory.buffer, 0, SEARCH_BYTES / 4).slice());
  const dive = () => {
    snap();
    if (snapshots.length < DEPTHS.length - 1) realm.runNow("import probe; probe.dive()");
  };
  realm.registerModule("probe", { dive });
  snap();
  realm.runNow("import probe; probe.dive()");
  snap();
  const found = [...(snapshots[0] as Uint32Array).keys()].filter((index) =>
    DEPTHS.every((depth, level) => snapshots[level]?.[index] === depth)
  );
  if (found.length !== 1) {
    throw new Error(
      `external_call_depth: ${found.length} places fit, expected 1; this package needs a look at collector.ts`,
    );
  }
  return (found[0] as number) * 4;
}

function collectorAt(realm: Realm, address: number): Collect {
  const moduleName = realm.allocate(3);
  const result = realm.allocate(12);
  realm.bytes().set([...new TextEncoder().encode("gc"), 0], moduleName);
  const importModule = realm.exports.mp_js_do_import as (name: number, result: number) => void;
  const forget = realm.exports.proxy_c_free_obj as (reference: number) => void;
  return () => {
    const depth = () => new DataView(realm.memory.buffer);
    const saved = depth().getInt32(address, true);
    depth().setInt32(address, 0, true);
    importModule(moduleName, result);
    // The call made a reference for JavaScript; kept, each collection would make Python's table of them longer.
    forget(new DataView(realm.memory.buffer).getUint32(result + 4, true));
    depth().setInt32(address, saved, true);
  };
}

const SELF_TEST = `
import gc, probe
junk = bytearray(50000)
junk = None
before = gc.mem_alloc()
gc.collect()
asked = gc.mem_alloc()
probe.collect()
after = gc.mem_alloc()
assert asked >= before and asked - after > 40000, (before, asked, after)
`;

async function selfTest(factory: (realm: Realm) => Collect): Promise<void> {
  const realm = await createRealm(quiet);
  realm.registerModule("probe", { collect: factory(realm) });
  realm.runNow(SELF_TEST);
}
