/** The aggregator service alone: `deno task start:aggregator`, configured by environment. */
import { openPublisher } from "../platform/duckdb_publisher.ts";
import { openStore } from "../platform/duckdb_store.ts";
import { logSettings, openLogAt } from "../platform/log_address.ts";
import { runService, serviceSettings } from "../platform/service.ts";
import { defaultConfig } from "../core/config.ts";
import { createLiveFeed } from "./live_feed.ts";
import { createAggregator, defaultAggregatorConfig } from "./mod.ts";
import { aggregatorSettings } from "./settings.ts";
import { readiness } from "./status.ts";

await runService({
  name: "aggregator",
  purpose: "turns the log's records into windowed rows and publishes them as files",
  table: { ...aggregatorSettings, ...logSettings, ...serviceSettings },
  start: async ({ settings, clock, random, trace, metrics, fail }) => {
    const replay = settings.replay || Deno.args.includes("--replay");
    const ports = { clock, random, trace, metrics };
    const log = await openLogAt(settings.log, settings.partitions, ports, { replay });
    const aggregator = createAggregator({
      reader: log.reader,
      writer: log.writer,
      clock,
      trace,
      metrics,
      live: createLiveFeed(trace),
      openPartition: async (partition) => {
        const { retentionMs } = defaultConfig;
        const store = await openStore({ directory: settings.data, partition, retentionMs });
        return { store, publisher: await openPublisher(store) };
      },
    }, {
      ...defaultAggregatorConfig,
      worker: settings.worker ?? `worker-${random.uint32().toString(16)}`,
      publishEveryMs: settings.publishEveryMs,
      replay,
      acceptGap: settings.acceptGap || Deno.args.includes("--accept-gap"),
    });
    const end = new AbortController();
    const done = aggregator.run(end.signal);
    done.catch(fail);
    return {
      handler: () => new Response("see /healthz, /readyz and /metrics\n", { status: 404 }),
      listen: { hostname: settings.host, port: settings.port },
      ready: () => readiness(aggregator.status()),
      banner: ({ url }) => [
        `aggregator writes rows to ${settings.data}; health at ${url}/readyz, metrics at ${url}/metrics`,
      ],
      stop: async () => {
        end.abort();
        await done.catch(() => {}); // what it failed with was told already
        await log.close();
      },
    };
  },
});
