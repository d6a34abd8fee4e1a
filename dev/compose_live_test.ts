/**
 * `compose.yaml` without Docker: each command of the file, with its environment and health check, as a process of this
 * machine, in each profile, on a real broker and a real Redis with the settings of the file. Names of services become
 * 127.0.0.1, published and inner ports free ones, volumes and the image's folders those of this machine; the rest is taken
 * as it stands.
 */
import { deepEqual, equal, ok } from "node:assert/strict";
import { openKafkaLog } from "../platform/kafka/log.ts";
import { machineClock } from "../platform/clock.ts";
import { type KafkaBroker, startKafka } from "../platform/testing/kafka_broker.ts";
import { freePort, Process, until } from "../platform/testing/process.ts";
import { askNumber } from "../platform/testing/published.ts";
import { type RedisServer, startRedis } from "../platform/testing/redis_server.ts";
import { interpolate, listAt, mapAt, parseYaml, type Yaml } from "./testing/compose.ts";

const root = new URL("../", import.meta.url);
const text = await Deno.readTextFile(new URL("compose.yaml", root));
const services = mapAt(parseYaml(text), "services");
type Service = { readonly [name: string]: Yaml };
const serviceNames = Object.keys(services);
const key = "a-key-of-the-test's";

/** What is set outside for a profile, as the head of the file says it. */
function settingsOf(profile: string): Record<string, string> {
  const line = new RegExp(`^# {3}${profile} .*`, "m").exec(text)?.[0] ?? "";
  const settings = [...line.matchAll(/(ISOTHERM_[A-Z]+)=(\S+)/g)].map((
    [, name = "", value = ""],
  ) => [name, value]);
  return { ...Object.fromEntries(settings), ISOTHERM_KEY: key };
}

/** One start of the file in a profile (null: none). */
class Run {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #ports = new Map<string, number>();
  readonly running = new Map<string, Process>();
  #broker: KafkaBroker | null = null;
  #redis: RedisServer | null = null;

  constructor(readonly profile: string | null, readonly folder: string, readonly denoDir: string) {
    this.#settings = profile === null ? { ISOTHERM_KEY: key } : settingsOf(profile);
    for (const [port] of text.matchAll(/\b(?:80|90)\d\d\b|\b6379\b/g)) {
      if (!this.#ports.has(port)) this.#ports.set(port, freePort());
    }
  }

  port(port: string): number {
    return this.#ports.get(port)!;
  }

  /** A text of the file as it has to be on this machine. */
  local(value: string): string {
    let found = interpolate(value, this.#settings);
    for (const name of serviceNames) {
      found = found.replace(new RegExp(`\\b${name}:(?=\\d)`, "g"), "127.0.0.1:");
    }
    for (const [port, free] of this.#ports) {
      found = found.replace(new RegExp(`\\b${port}\\b`, "g"), String(free));
    }
    return found;
  }

  /** Folders of a container → folders of this machine. */
  #folders(service: Service): ReadonlyMap<string, string> {
    const folders = new Map([["/app", decodeURIComponent(root.pathname)], ["/deno-dir", this.denoDir]]);
    for (const volume of listAt(service, "volumes")) {
      const [name = "", path = ""] = volume.split(":");
      folders.set(path, `${this.folder}/${name}`);
    }
    return folders;
  }

  environment(name: string): Record<string, string> {
    const service = mapAt(services, name);
    if (service.environment === undefined) return {};
    const folders = this.#folders(service);
    const local = (value: string) => {
      const [, scheme = "", path = ""] = /^(embedded:)?(.*)$/.exec(this.local(value))!;
      return scheme + (folders.get(path) ?? path);
    };
    return Object.fromEntries(
      Object.entries(mapAt(service, "environment")).map((
        [variable, value],
      ) => [variable, local(String(value))]),
    );
  }

  isWanted(name: string): boolean {
    const profiles = listAt(mapAt(services, name), "profiles");
    return profiles.length === 0 || profiles.includes("fleet") || profiles.includes(this.profile ?? "");
  }

  /** Services in the order in which `depends_on` lets them start. */
  order(): readonly string[] {
    const order: string[] = [];
    const visit = (name: string) => {
      if (order.includes(name)) return;
      const service = mapAt(services, name);
      if (service.depends_on !== undefined) {
        for (const [needed, condition] of Object.entries(mapAt(service, "depends_on"))) {
          const isOptional = listAt(mapAt(services, needed), "profiles").length > 0;
          deepEqual(condition, { condition: "service_healthy", ...isOptional ? { required: "false" } : {} });
          if (this.isWanted(needed)) visit(needed);
        }
      }
      order.push(name);
    };
    serviceNames.filter((name) => this.isWanted(name)).forEach(visit);
    return order;
  }

  async start(name: string): Promise<void> {
    if (name === "kafka") this.#broker = await this.#startBroker();
    else if (name === "redis") this.#redis = await this.#startRedis();
    else this.running.set(name, this.#startService(name));
    await this.#healthy(name);
  }

  /** The image makes properties of its variables: KAFKA_LOG_DIRS is log.dirs. */
  #startBroker(): Promise<KafkaBroker> {
    const properties = Object.entries(this.environment("kafka"))
      .filter(([name]) => /^KAFKA_(?!HEAP_OPTS|OPTS)/.test(name))
      .map(([name, value]) => [name.slice(6).toLowerCase().replaceAll("_", "."), value]);
    return startKafka({
      folder: `${this.folder}/broker`,
      port: this.port("9092"),
      properties: Object.fromEntries(properties),
    });
  }

  #startRedis(): Promise<RedisServer> {
    const [program, ...args] = listAt(mapAt(services, "redis"), "command").map((part) => this.local(part));
    equal(program, "redis-server");
    const settings: Record<string, string> = {};
    for (let i = 0; i < args.length; i += 2) settings[args[i]!.replace(/^--/, "")] = args[i + 1]!;
    return startRedis(settings);
  }

  /** A service's `command` for the image's entry point, `deno`. */
  #startService(name: string): Process {
    const service = mapAt(services, name);
    const folders = this.#folders(service);
    const args = listAt(service, "command").map((part) => {
      const [, flag, paths] = /^(--allow-(?:read|write)=)(.*)$/.exec(part) ?? [];
      if (flag === undefined) return part;
      return flag + paths!.split(",").map((path) => folders.get(path) ?? path).join(",");
    });
    return new Process({ args, env: this.environment(name) });
  }

  /** Runs the health check of the file until it succeeds. */
  async #healthy(name: string): Promise<void> {
    const check = mapAt(mapAt(services, name), "healthcheck");
    const [kind, command = "", ...args] = listAt(check, "test").map((part) => this.local(part));
    equal(kind, "CMD");
    await until(`${name} is healthy`, async () => {
      const process = this.running.get(name);
      ok(process === undefined || process.isRunning, `${name}:\n${process?.text}`);
      const { success } = await new Deno.Command(command === "deno" ? Deno.execPath() : command, { args })
        .output();
      return success;
    }, 40_000);
  }

  async stop(name: string): Promise<void> {
    const grace = Number(/^(\d+)s$/.exec(String(mapAt(services, name).stop_grace_period))?.[1]) * 1_000;
    const process = this.running.get(name);
    if (process !== undefined) {
      equal((await process.stop("SIGTERM", grace)).code, 0, `${name}:\n${process.text}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.running.values()) await process[Symbol.asyncDispose]();
    await this.#broker?.remove();
    await this.#redis?.remove();
  }
}

Deno.test("every service of compose.yaml is a published image, pinned, bounded in its rights, and keeps its data in a named volume", async () => {
  const volumes = Object.keys(mapAt(parseYaml(text), "volumes"));
  const dockerfile = await Deno.readTextFile(new URL("Dockerfile", root));
  ok(
    dockerfile.includes(`\nFROM denoland/deno:bin-${Deno.version.deno} `) ||
      dockerfile.includes(`FROM denoland/deno:bin-${Deno.version.deno} AS`),
    "the image has this Deno",
  );
  ok(/^USER deno$/m.test(dockerfile));
  deepEqual(serviceNames, ["kafka", "redis", "ingest", "aggregator", "dashboard", "boards"]);
  for (const name of serviceNames) {
    const service = mapAt(services, name);
    equal(service.build, undefined, `${name} needs no clone`);
    ok(/^[a-z./-]+:\d+\.\d+\.\d+$/.test(interpolate(String(service.image), {})), `${name} is pinned`);
    deepEqual(service.cap_drop, ["ALL"], name);
    deepEqual(service.security_opt, ["no-new-privileges:true"], name);
    equal(service.read_only, name === "kafka" ? undefined : "true", name);
    ok(service.healthcheck !== undefined, name);
    const isOurs = String(service.image).includes("ISOTHERM_IMAGE");
    if (isOurs) {
      const command = listAt(service, "command");
      ok(
        !command.some((part) => /^(-A|--allow-all|--allow-run|--allow-write)$/.test(part)),
        `${name} has few rights`,
      );
    }
    for (const volume of listAt(service, "volumes")) {
      const [volumeName = "", path = ""] = volume.split(":");
      ok(volumes.includes(volumeName), `${name}: ${volume} is a named volume`);
      ok(!isOurs || new RegExp(`chown deno:deno .*${path}\\b`).test(dockerfile), `${path} is the user's`);
    }
  }
});

for (const profile of [null, "kafka", "redis"]) {
  Deno.test({
    name: `the commands of compose.yaml, started with its environment ${
      profile === null ? "on an embedded log" : `in the profile ${profile}`
    }, bring boards' readings to SQL and the dashboard, and end in time`,
    // kafkajs's retries outlive a connection that was cut, for a few seconds.
    sanitizeOps: false,
    sanitizeResources: false,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "isotherm-compose-" });
      try {
        await using run = new Run(profile, folder, await denoDir());
        const order = run.order();
        for (const name of order) await run.start(name);
        deepEqual(order.filter((name) => !run.running.has(name)), profile === null ? [] : [profile]);
        const { ISOTHERM_DATA: data = "", ISOTHERM_LOG: log = "" } = run.environment("aggregator");
        ok(log.startsWith(profile ?? "embedded"), log);
        await until("readings of three boards are published", async () => {
          for (const [name, process] of run.running) ok(process.isRunning, `${name}:\n${process.text}`);
          return await askNumber(data, "SELECT count(DISTINCT device) FROM readings").catch(() => 0) === 3;
        }, 90_000);
        await askDashboard(run);
        if (profile === "kafka") await readFromOutside(run);
        for (const name of order.toReversed()) await run.stop(name);
      } finally {
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

/** Where Deno keeps its packages on this machine. */
async function denoDir(): Promise<string> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

/** The dashboard lets in who has the key, and asks the published rows with the rights that it has. */
async function askDashboard(run: Run): Promise<void> {
  const url = `http://127.0.0.1:${run.port("8088")}`;
  const ask = async (headers: Record<string, string>) => {
    const body = JSON.stringify({ sql: "SELECT 'rows: ' || (count(*) > 0) FROM readings" });
    const answer = await fetch(`${url}/api/sql`, {
      method: "POST",
      headers: { "content-type": "application/json", origin: url, ...headers },
      body,
    });
    return { status: answer.status, text: await answer.text() };
  };
  equal((await ask({})).status, 401);
  const signIn = await fetch(`${url}/sign-in`, {
    method: "POST",
    headers: { origin: url },
    body: new URLSearchParams({ token: key }),
    redirect: "manual",
  });
  await signIn.body?.cancel();
  const cookie = (signIn.headers.get("set-cookie") ?? "").split(";")[0] ?? "";
  const answer = await ask({ cookie });
  equal(answer.status, 200, answer.text);
  ok(answer.text.includes("rows: true"), answer.text);
}

/** A program on the host reaches the broker at the published port, and stays at the address that it is told there. */
async function readFromOutside(run: Run): Promise<void> {
  const published = listAt(mapAt(services, "kafka"), "ports").map((port) => run.local(port));
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
