/**
 * A real Apache Kafka broker on loopback, without Docker: the class path comes from Maven by `pom.xml`, the broker runs
 * as a child process in a temporary or named folder (KRaft, one node). For development (`deno task kafka`) and live
 * tests; its settings suit tests (no delay of the first rebalance, fast restart after a kill), not a production.
 */
const root = decodeURIComponent(new URL("../../", import.meta.url).pathname);
const CLUSTER_ID = "MkU3OEVBNTcwNTJENDM2Qk";
/** JVM start: less to compile, one collector thread. */
const FLAGS = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto", "-Xmx512m"];
const UP_MS_MAX = 60_000;

export interface BrokerOptions {
  /** Data and configuration; a temporary folder by default, removed by `remove`. */
  readonly folder?: string;
  /** Port on 127.0.0.1; a free one by default. */
  readonly port?: number;
  /** Settings that replace or follow our own. */
  readonly settings?: Readonly<Record<string, string>>;
  /** All of `server.properties` in place of our own; `port` says where it listens for clients then. */
  readonly properties?: Readonly<Record<string, string>>;
}

export interface KafkaBroker {
  /** `127.0.0.1:port`. */
  readonly address: string;
  readonly folder: string;
  /** Ends it in order (SIGTERM), or as a power cut would (SIGKILL). */
  stop(signal?: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it again on the same data and port. */
  start(): Promise<void>;
  /** Lets it hang, and go on: it keeps its connections but answers nothing. */
  freeze(): void;
  thaw(): void;
  /** Runs one of Kafka's own tools, e.g. `org.apache.kafka.tools.ConsoleConsumer`; rejects when it fails. */
  tool(mainClass: string, args: readonly string[], input?: string): Promise<string>;
  /** Resolves when the process that runs now has ended. */
  ended(): Promise<void>;
  /** Stops it and removes a temporary folder. */
  remove(): Promise<void>;
}

/** The folder with Kafka's jars, fetched by Maven when they aren't there yet (about 55 MB). */
export async function kafkaJars(): Promise<string> {
  const folder = `${root}.cache/kafka-4.3.1`;
  try {
    Deno.statSync(`${folder}/complete`);
    return folder;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const args = ["-q", "-B", "-ntp", "dependency:copy-dependencies", "-DincludeScope=runtime"];
  const maven = await run("mvn", [...args, `-DoutputDirectory=${folder}`], root);
  if (!maven.success) {
    throw new Error(
      `Maven could not fetch Kafka's jars: ${maven.text}\nInstall Maven 3.8 and Java 17, then try again`,
    );
  }
  await Deno.writeTextFile(`${folder}/complete`, "");
  return folder;
}

async function run(command: string, args: readonly string[], cwd: string) {
  try {
    const output = await new Deno.Command(command, { args: [...args], cwd, stdin: "null" }).output();
    const decoder = new TextDecoder();
    return { success: output.success, text: decoder.decode(output.stdout) + decoder.decode(output.stderr) };
  } catch (error) {
    return { success: false, text: error instanceof Error ? error.message : String(error) };
  }
}

/** Starts a broker and waits until it accepts connections. */
export async function startKafka(options: BrokerOptions = {}): Promise<KafkaBroker> {
  const jars = await kafkaJars();
  const folder = options.folder ?? await Deno.makeTempDir({ prefix: "isotherm-kafka-" });
  await Deno.mkdir(folder, { recursive: true });
  const config = `${folder}/server.properties`;
  const port = await writeConfig(config, folder, options);
  const java = (args: readonly string[], streams: "null" | "piped") =>
    new Deno.Command("java", {
      args: [...FLAGS, "-cp", `${jars}/*`, ...args],
      stdin: streams,
      stdout: streams,
      stderr: streams,
    });
  const format = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", CLUSTER_ID, "-c", config];
  const formatted = await new Deno.Command("java", { args: [...FLAGS, "-cp", `${jars}/*`, ...format] })
    .output();
  if (!formatted.success) {
    throw new Error(`kafka format failed: ${new TextDecoder().decode(formatted.stderr)}`);
  }

  let child: Deno.ChildProcess | null = null;
  const start = async () => {
    const started = child = java(["kafka.Kafka", config], "null").spawn();
    let exitCode: number | null = null;
    started.status.then(({ code }) => exitCode = code);
    for (const deadlineMs = performance.now() + UP_MS_MAX;;) {
      if (await accepts(port)) return;
      if (exitCode !== null) throw new Error(`the broker exited with ${exitCode}; is port ${port} taken?`);
      if (performance.now() > deadlineMs) {
        started.kill("SIGKILL");
        await started.status;
        throw new Error(`the broker did not come up within ${UP_MS_MAX} ms`);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const stop = async (signal: "SIGTERM" | "SIGKILL" = "SIGTERM") => {
    if (child === null) return;
    child.kill("SIGCONT");
    child.kill(signal);
    await child.status;
    child = null;
  };
  await start();
  return {
    address: `127.0.0.1:${port}`,
    folder,
    start,
    stop,
    freeze: () => child?.kill("SIGSTOP"),
    thaw: () => child?.kill("SIGCONT"),
    async tool(mainClass, args, input = "") {
      const tool = java([mainClass, ...args], "piped").spawn();
      const writer = tool.stdin.getWriter();
      await writer.write(new TextEncoder().encode(input));
      await writer.close();
      const { success, stdout, stderr } = await tool.output();
      if (!success) throw new Error(`${mainClass} failed: ${new TextDecoder().decode(stderr)}`);
      return new TextDecoder().decode(stdout);
    },
    async ended() {
      await child?.status;
    },
    async remove() {
      await stop("SIGKILL");
      if (options.folder === undefined) await Deno.remove(folder, { recursive: true });
    },
  };
}

/** Writes the configuration; a folder that has one keeps its ports. */
async function writeConfig(config: string, folder: string, options: BrokerOptions): Promise<number> {
  const { port: wanted, properties } = options;
  if (properties !== undefined) {
    if (wanted === undefined) throw new Error("properties of one's own need a port");
    await Deno.writeTextFile(
      config,
      Object.entries(properties).map(([name, value]) => `${name}=${value}\n`).join(""),
    );
    return wanted;
  }
  const found = await Deno.readTextFile(config).catch(() => "");
  const portOf = (name: string) =>
    Number(new RegExp(`${name}://127\\.0\\.0\\.1:(\\d+)`).exec(found)?.[1] ?? 0);
  const port = wanted ?? (portOf("PLAINTEXT") || freePort());
  const controller = portOf("CONTROLLER") || freePort();
  await Deno.writeTextFile(
    config,
    `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:${controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}
advertised.listeners=PLAINTEXT://127.0.0.1:${port}
log.dirs=${folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=500
broker.session.timeout.ms=1000
broker.heartbeat.interval.ms=200
auto.create.topics.enable=false
${Object.entries(options.settings ?? {}).map(([name, value]) => `${name}=${value}\n`).join("")}`,
  );
  return port;
}

/** A free loopback port. Another process may take it before the broker does. */
function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

async function accepts(port: number): Promise<boolean> {
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    return false;
  }
}
