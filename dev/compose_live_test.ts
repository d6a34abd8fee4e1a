/**
 * `compose.yaml` without Docker: each command of the file, with its environment and health check, as a process of this
 * machine, on a real broker with the settings of the file. Names of services become 127.0.0.1, published and inner ports
 * free ones, volumes folders; the rest is taken as it stands.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { machineClock } from "../platform/clock.ts";
import { openKafkaLog } from "../platform/kafka_log.ts";
import { type KafkaBroker, startKafka } from "../platform/testing/kafka_broker.ts";
import { freePort, Process, taskArgs, until } from "../platform/testing/process.ts";
import { askNumber } from "../platform/testing/published.ts";
import { listAt, mapAt, parseYaml, type Yaml } from "./testing/compose.ts";

const key = "a key of the test's".replaceAll(" ", "-");
const root = new URL("../", import.meta.url);
const text = await Deno.readTextFile(new URL("compose.yaml", root));
const services = mapAt(parseYaml(text), "services");
type Service = { readonly [name: string]: Yaml };
const serviceNames = Object.keys(services);

/** Ports of the file → free ports of this machine. */
const ports = new Map<string, number>();
for (const [port] of text.matchAll(/\b(?:80|90)\d\d\b/g)) {
  if (!ports.has(port)) ports.set(port, freePort());
}

/** A text of the file as it has to be on this machine. */
function local(value: string, volumes: ReadonlyMap<string, string>): string {
  let found = value.replace(/\$\{ISOTHERM_KEY:\?[^}]*\}/, key);
  for (const name of serviceNames) found = found.replace(new RegExp(`\\b${name}:(?=\\d)`, "g"), "127.0.0.1:");
  for (const [port, free] of ports) found = found.replace(new RegExp(`\\b${port}\\b`, "g"), String(free));
  for (const [path, folder] of volumes) found = found === path ? folder : found;
  return found;
}

function volumesOf(service: Service, folder: string): ReadonlyMap<string, string> {
  return new Map(
    listAt(service, "volumes").map((volume) => {
      const [name = "", path = ""] = volume.split(":");
      return [path, `${folder}/${name}`];
    }),
  );
}

function environmentOf(service: Service, volumes: ReadonlyMap<string, string>): Record<string, string> {
  const entries = Object.entries(mapAt(service, "environment"));
  return Object.fromEntries(entries.map(([name, value]) => [name, local(String(value), volumes)]));
}

/** The image makes properties of its variables: KAFKA_LOG_DIRS is log.dirs. */
function startBroker(folder: string): Promise<KafkaBroker> {
  const service = mapAt(services, "kafka");
  const environment = environmentOf(service, volumesOf(service, folder));
  const properties = Object.entries(environment)
    .filter(([name]) => /^KAFKA_(?!HEAP_OPTS|OPTS)/.test(name))
    .map(([name, value]) => [name.slice(6).toLowerCase().replaceAll("_", "."), value]);
  return startKafka({
    folder: `${folder}/broker`,
    port: ports.get("9092")!,
    properties: Object.fromEntries(properties),
  });
}

/** A service's `command` for the image's entry point, `deno`. */
async function startService(name: string, folder: string): Promise<Process> {
  const service = mapAt(services, name);
  const [task = "", taskName = "", ...more] = listAt(service, "command");
  equal(task, "task");
  deepEqual(more, []);
  return new Process({
    args: await taskArgs(taskName),
    env: environmentOf(service, volumesOf(service, folder)),
  });
}

/** Runs the health check of the file until it succeeds. */
async function healthy(name: string): Promise<void> {
  const check = mapAt(mapAt(services, name), "healthcheck");
  const [kind, command = "", ...args] = listAt(check, "test").map((part) => local(part, new Map()));
  equal(kind, "CMD");
  await until(`${name} is healthy`, async () => {
    const { success } = await new Deno.Command(command === "deno" ? Deno.execPath() : command, { args })
      .output();
    return success;
  }, 40_000);
}

/** Services in the order in which `depends_on` lets them start. */
function startOrder(): readonly string[] {
  const order: string[] = [];
  const visit = (name: string) => {
    if (order.includes(name)) return;
    const service = mapAt(services, name);
    if (service.depends_on !== undefined) {
      for (const [needed, condition] of Object.entries(mapAt(service, "depends_on"))) {
        deepEqual(condition, { condition: "service_healthy" });
        visit(needed);
      }
    }
    order.push(name);
  };
  serviceNames.forEach(visit);
  return order;
}

Deno.test("every service of compose.yaml is pinned, bounded in its rights, and keeps its data in a named volume", async () => {
  const volumes = Object.keys(mapAt(parseYaml(text), "volumes"));
  const dockerfile = await Deno.readTextFile(new URL("Dockerfile", root));
  ok(dockerfile.includes(`\nFROM denoland/deno:${Deno.version.deno}\n`), "the image has this Deno");
  ok(/^USER deno$/m.test(dockerfile));
  deepEqual(serviceNames, ["kafka", "ingest", "aggregator", "board"]);
  for (const name of serviceNames) {
    const service = mapAt(services, name);
    ok(service.build === "." || /^[a-z/]+:\d+\.\d+\.\d+$/.test(String(service.image)), `${name} is pinned`);
    deepEqual(service.cap_drop, ["ALL"], name);
    deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    equal(service.read_only, name === "kafka" ? undefined : "true", name);
    ok(service.healthcheck !== undefined, name);
    for (const volume of listAt(service, "volumes")) {
      ok(volumes.includes(volume.split(":")[0]!), `${name}: ${volume} is a named volume`);
      const path = volume.split(":")[1]!;
      ok(
        name === "kafka" || dockerfile.includes(`chown deno:deno`) && dockerfile.includes(path),
        `${path} is the user's`,
      );
    }
  }
});

Deno.test({
  name:
    "the commands of compose.yaml, started with its environment, bring a board's readings to SQL, and end in time",
  // kafkajs's retries outlive a connection that was cut, for a few seconds.
  sanitizeOps: false,
  sanitizeResources: false,
  async fn() {
    const folder = await Deno.makeTempDir({ prefix: "isotherm-compose-" });
    let broker: KafkaBroker | null = null;
    const running = new Map<string, Process>();
    try {
      const order = startOrder();
      equal(order[0], "kafka");
      for (const name of order) {
        if (name === "kafka") broker = await startBroker(folder);
        else running.set(name, await startService(name, folder));
        await healthy(name);
      }
      const [data] = volumesOf(mapAt(services, "aggregator"), folder).values();
      await until("readings of the board are published", async () => {
        for (const [name, process] of running) ok(process.isRunning, `${name}:\n${process.text}`);
        return await askNumber(data!, "SELECT count(*) FROM readings WHERE device = 'board-1'").catch(() =>
          0
        ) >= 2;
      }, 60_000);
      await readFromOutside();
      for (const name of order.toReversed()) {
        const grace = Number(/^(\d+)s$/.exec(String(mapAt(services, name).stop_grace_period))?.[1]) * 1_000;
        const process = running.get(name);
        if (process !== undefined) {
          equal((await process.stop("SIGTERM", grace)).code, 0, `${name}:\n${process.text}`);
        }
      }
    } finally {
      for (const process of running.values()) await process[Symbol.asyncDispose]();
      await broker?.remove();
      await Deno.remove(folder, { recursive: true });
    }
  },
});

/** A program on the host reaches the broker at the published port, and stays at the address that it is told there. */
async function readFromOutside(): Promise<void> {
  const published = listAt(mapAt(services, "kafka"), "ports").map((port) => local(port, new Map()));
  equal(published.length, 1);
  const [host, port] = published[0]!.split(":");
  const log = await openKafkaLog({
    brokers: [`${host}:${port}`],
    topic: "readings",
    partitions: 4,
    group: "outside",
    replay: true,
    clock: machineClock,
  });
  const ends: number[] = [];
  await new Promise((resolve, reject) =>
    log.reader.join({
      assigned: async (partitions) => {
        for (const partition of partitions) ends.push((await log.reader.range(partition)).next);
        resolve(undefined);
      },
      revoked: () => Promise.resolve(),
    }).catch(reject)
  );
  ok(ends.reduce((sum, next) => sum + next, 0) >= 2, `${ends}`);
  await log.close();
}
