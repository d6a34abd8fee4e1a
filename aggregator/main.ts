/** The aggregator service alone: `deno task start:aggregator`, configured by environment. */
import { openPublisher } from "../platform/duckdb_publisher.ts";
import { openStore } from "../platform/duckdb_store.ts";
import { logSettings, openLogAt } from "../platform/log_address.ts";
import { runService, serviceSettings } from "../platform/service.ts";
import { createLiveFeed } from "./live_feed.ts";
import { aggregatorMetricsHelp, createAggregator, createEndpoints, defaultAggregatorConfig } from "./mod.ts";
import { aggregatorSettings, judgeOf } from "./settings.ts";
import { readiness } from "./status.ts";

const SEE = "see /live, /explain, /status, /healthz, /readyz and /metrics\n";

await runService({
  name: "aggregator",
  purpose: "turns the log's records into windowed rows and publishes them as files",
  metricsHelp: aggregatorMetricsHelp,
  table: { ...aggregatorSettings, ...logSettings, ...serviceSettings },
  start: async ({ settings, clock, random, trace, metrics, fail }) => {
    const replay = settings.replay || Deno.args.includes("--replay");
    const ports = { clock, random, trace, metrics };
    const log = await openLogAt(settings.log, settings.partitions, ports, { replay });
    const live = createLiveFeed(trace);
    const config = {
      ...defaultAggregatorConfig,
      judge: judgeOf(settings),
      worker: settings.worker ?? `worker-${random.uint32().toString(16)}`,
      publishEveryMs: settings.publishEveryMs,
      replay,
      acceptGap: settings.acceptGap || Deno.args.includes("--accept-gap"),
    };
    const aggregator = createAggregator({
      reader: log.reader,
      writer: log.writer,
      clock,
      trace,
      metrics,
      live,
      openPartition: async (partition) => {
        const { retentionMs } = config.judge;
        const earliestOffset = async () => (await log.reader.range(partition)).earliest;
        const store = await openStore({
          directory: settings.publish ?? settings.data,
          privateDirectory: settings.data,
          partition,
          retentionMs,
          earliestOffset,
          trace,
        });
        return { store, publisher: await openPublisher(store) };
      },
    }, config);
    const endpoints = createEndpoints({
      aggregator,
      feed: live,
      clock,
      metrics,
      instance: random.uint32().toString(16),
      partitions: log.reader.partitions,
    }, config);
    const end = new AbortController();
    const done = aggregator.run(end.signal);
    done.catch(fail);
    return {
      handler: (request) => endpoints.handle(request) ?? new Response(SEE, { status: 404 }),
      listen: { hostname: settings.host, port: settings.port },
      gauge: () => endpoints.gauge(),
      closing: () => endpoints.close(),
      ready: () => readiness(aggregator.status()),
      banner: ({ url }) => [
        `aggregator writes rows to ${settings.data}; what it does at ${url}/status, metrics at ${url}/metrics`,
      ],
      stop: async () => {
        end.abort();
        await done.catch(() => {}); // what it failed with was told already
        await log.close();
      },
    };
  },
});
