/**
 * The whole pipeline in one process: log, ingest and aggregator joined with the real world, as their `main.ts` files join
 * them one by one, and simulated boards that talk to ingest over real HTTP.
 */
import { aggregatorMetricsHelp, defaultAggregatorConfig } from "../aggregator/mod.ts";
import { startAggregator } from "../aggregator/service.ts";
import { judgeOf, judgeSettings } from "../aggregator/settings.ts";
import { readSettings } from "../core/settings.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { Random } from "../core/ports/random.ts";
import type { Changes, Store } from "../core/ports/store.ts";
import type { Trace } from "../core/ports/trace.ts";
import { createKeyRing, settingKey } from "../ingest/key_ring.ts";
import { createIngest, ingestMetricsHelp } from "../ingest/mod.ts";
import { alertFiles } from "../platform/alert_files.ts";
import { openStoredPartition } from "../platform/duckdb/partition.ts";
import { keyHashing, newKey } from "../platform/keys.ts";
import { embeddedLogFile, openLogAt } from "../platform/log_address.ts";
import { metricsRegistry } from "../platform/metrics.ts";
import { lanAddress, withOperations } from "../platform/service.ts";
import { serveHttp } from "../platform/service_http.ts";
import { holdWorkerName } from "../platform/worker_name.ts";
import { Bench } from "../sim/board/bench.ts";
import { bannerLines } from "./banner.ts";
import { boardsSeed, startBoards } from "./boards.ts";
import { startDashboard } from "./dashboard.ts";
import type { DevOptions } from "./options.ts";

/** Boards of a new data folder start so far back, so that the first look shows closed windows at once. */
export const firstHistoryMs = 10 * 60_000;
/** The bench shows that what is done to one board leaves its neighbour alone. */
const defaultBoards = 2;
/** The neighbour starts so far back: a closed window soon, and no history that the start has to wait for. */
export const neighbourBackMs = 60_000;
/** A terminal and `deno task sql` should see a row soon after it is committed; the publisher's cost follows new rows. */
const publishEveryMs = 1_000;
/** One process reads all partitions, so more would only cost. */
const partitions = 1;
const requestsMs = 500;
/** The dashboard's port is ingest's and so many: 8088, as that of the service alone. */
const dashboardPortAhead = 2;

export interface PipelinePorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly trace: Trace;
  /** What a transaction has made durable. */
  committed(changes: Changes): void;
  /** The pipeline can't go on; the message says what to do. */
  failed(error: Error): void;
}

export interface Pipeline {
  /** What was started, and where; for a person. */
  readonly banner: readonly string[];
  /** Puts everything away; what was acknowledged or committed stays. */
  stop(): Promise<void>;
}

/** Starts everything. Rejects with the reason, after putting away what had been started. */
export async function startPipeline(options: DevOptions, ports: PipelinePorts): Promise<Pipeline> {
  const started: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const end of started.splice(0).reverse()) await end();
  };
  try {
    return { banner: await start(options, ports, (end) => started.push(end)), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function start(
  options: DevOptions,
  ports: PipelinePorts,
  defer: (end: () => Promise<void>) => void,
): Promise<string[]> {
  const { clock, random, trace } = ports;
  const metrics = metricsRegistry({ ...ingestMetricsHelp, ...aggregatorMetricsHelp });
  const shared = { clock, random, trace, metrics };
  await Deno.mkdir(options.data, { recursive: true });
  const data = await Deno.realPath(options.data);
  const isNew = !await exists(`${data}/${embeddedLogFile}`) && !await exists(`${data}/published`);

  const worker = await holdWorkerName(data, random);
  defer(() => Promise.resolve(worker.release()));
  const log = await openLogAt(options.log ?? `embedded:${data}`, partitions, shared, { member: worker.name });
  defer(() => log.close());

  const read = readSettings(judgeSettings, (name) => Deno.env.get(name));
  if (read.kind === "problems") throw new Error(read.problems.join("\n"));
  const judge = judgeOf(read.values);
  const running = startAggregator({
    ...{ log, ...shared },
    openPartition: async (partition, rows) => {
      const opened = await openStoredPartition({
        directory: data,
        partition,
        retentionMs: judge.retentionMs,
        rows,
        earliestOffset: async () => (await log.reader.range(partition)).earliest,
        trace,
      });
      return { ...opened, store: watched(opened.store, ports.committed) };
    },
    alertFiles: alertFiles({ data, rules: null, shared: data }),
  }, { ...defaultAggregatorConfig, judge, worker: worker.name, publishEveryMs });
  running.done.catch(ports.failed);
  defer(() => running.stop());
  const { endpoints } = running;

  const key = options.lan ? await keyOf(data, random) : null;
  const ingest = createIngest({
    log: log.writer,
    ...shared,
    ...key === null ? {} : { authority: createKeyRing(keyHashing, clock, [settingKey(key, keyHashing)]) },
  });
  const server = await serveHttp({
    handler: withOperations({
      // What is in the rows is shown to this machine only; `--lan` opens the doors for readings.
      handler: (request, client) =>
        (isLoopback(client.address) ? endpoints.handle(request) : null) ?? ingest.handler(request),
      ready: () => ingest.ready() ?? running.ready(),
      metrics,
      gauge: () => endpoints.gauge(),
    }),
    hostname: options.lan ? "0.0.0.0" : "127.0.0.1",
    port: options.port,
    ...shared,
    broken: ports.failed,
  });
  defer(async () => {
    endpoints.close();
    await server.close(requestsMs);
    await ingest.stop();
  });

  const bench = new Bench(boardsSeed);
  const dashboard = await startDashboard({
    data,
    port: options.port === 0 ? 0 : server.port + dashboardPortAhead,
    lan: options.lan,
    key,
    ingestUrl: server.url,
    ask: (request) => endpoints.handle(request),
    bench: options.devices === 0 ? null : bench,
    clock,
    random,
    trace,
  });
  defer(() => dashboard.stop());

  const historyMs = options.historyMs ?? (isNew ? firstHistoryMs : 0);
  const neighboursBackMs = options.devices === null ? Math.min(neighbourBackMs, historyMs) : null;
  const boards = await startBoards({
    devices: options.devices ?? defaultBoards,
    historyMs,
    neighboursBackMs,
    url: server.url,
    key,
    folder: data,
    clock,
    bench,
    failed: ports.failed,
  });
  defer(() => boards.stop());
  return bannerLines({
    options,
    data,
    url: server.url,
    dashboardUrl: dashboard.url,
    lanUrl: options.lan ? `http://${lanAddress() ?? "0.0.0.0"}:${server.port}` : null,
    key,
    boards: boards.names,
    historyMs,
    neighboursBackMs,
    task: taskCommand(),
  });
}

const isLoopback = (address: string) => /^(127\.|::1$|::ffff:127\.)/.test(address);

/** How this process's user runs tasks: with Deno, or through npx, where Deno lies in npm's folders. */
function taskCommand(): string {
  return /[\\/]node_modules[\\/]/.test(Deno.execPath())
    ? `npx -y deno@${Deno.version.deno} task`
    : "deno task";
}

/** A store that tells what it has made durable. */
function watched(store: Store, committed: (changes: Changes) => void): Store {
  return {
    partition: store.partition,
    load: (openFrom) => store.load(openFrom),
    lookup: (needs) => store.lookup(needs),
    async commit(changes) {
      await store.commit(changes);
      committed(changes);
    },
    close: () => store.close(),
  };
}

/** The key of this data folder; made at the first need, readable for its owner only. */
async function keyOf(data: string, random: Random): Promise<string> {
  const path = `${data}/key`;
  if (await exists(path)) return (await Deno.readTextFile(path)).trim();
  const key = newKey("dev", random);
  await Deno.writeTextFile(path, `${key}\n`, { mode: 0o600, createNew: true });
  return key;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
