import assert from "node:assert/strict";
import { silentTrace } from "../core/ports/trace.ts";
import { machineClock } from "./clock.ts";
import { Process, until } from "./testing/process.ts";
import { holdPresence, type Presence } from "./worker_presence.ts";

interface Place {
  readonly folder: string;
  /** Names of the dead as they were told. */
  readonly told: string[];
  /** So many times the next telling fails. */
  failures: number;
  hold(name: string): Promise<Presence>;
  /** The same in a process of its own. */
  start(name: string): Promise<Process>;
}

async function place(body: (place: Place) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "isotherm-presence-" });
  const children: Process[] = [];
  const self: Place = {
    folder,
    told: [],
    failures: 0,
    hold: (name) =>
      holdPresence({
        ...{ folder, name, clock: machineClock, trace: silentTrace },
        dead(other) {
          if (self.failures-- > 0) return Promise.reject(new Error("the log is away"));
          self.told.push(other);
          return Promise.resolve();
        },
      }),
    async start(name) {
      const child = new Process({ args: ["run", "-A", "platform/testing/presence_child.ts", folder, name] });
      children.push(child);
      await child.line(/^lives/);
      return child;
    },
  };
  try {
    await body(self);
  } finally {
    for (const child of children) await child.stop("SIGKILL");
    await Deno.remove(folder, { recursive: true });
  }
}

const filesOf = ({ folder }: Place) =>
  [...Deno.readDirSync(`${folder}/workers`)].map(({ name }) => name).sort();

Deno.test("a worker that was killed is told as dead, once; a living one, a frozen one and one that left are not", async () => {
  await place(async (place) => {
    const [killed, frozen] = [await place.start("killed"), await place.start("frozen")];
    await (await place.hold("left")).release();
    const own = await place.hold("own");
    Deno.kill(frozen.pid, "SIGSTOP");
    await machineClock.sleep(600);
    assert.deepEqual(place.told, []);
    await killed.stop("SIGKILL");
    await until("its death is seen", () => Promise.resolve(place.told.length > 0), 10_000);
    await machineClock.sleep(600);
    assert.deepEqual(place.told, ["killed"]);
    assert.deepEqual(filesOf(place), ["frozen", "own"]);
    await own.release();
    assert.deepEqual(filesOf(place), ["frozen"]);
  });
});

Deno.test("a death that could not be told is told again, and one who has come back can die again", async () => {
  await place(async (place) => {
    const own = await place.hold("own");
    place.failures = 2;
    for (let death = 1; death <= 2; death++) {
      const other = await place.start("other");
      await machineClock.sleep(400);
      assert.equal(place.told.length, death - 1, "it lives");
      await other.stop("SIGKILL");
      await until("its death is seen", () => Promise.resolve(place.told.length === death), 10_000);
    }
    assert.deepEqual(place.told, ["other", "other"]);
    await own.release();
  });
});

Deno.test("a second living process of the same name works unseen, and takes nothing from the first", async () => {
  await place(async (place) => {
    const first = await place.start("twin");
    const second = await place.hold("twin");
    await second.release();
    const watching = await place.hold("own");
    await machineClock.sleep(600);
    assert.deepEqual([place.told, filesOf(place)], [[], ["own", "twin"]]);
    await first.stop("SIGKILL");
    await until("the first's death is seen", () => Promise.resolve(place.told.length > 0), 10_000);
    await watching.release();
  });
});
