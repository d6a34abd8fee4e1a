/** The aggregator service alone: `deno task start:aggregator`, configured by environment. */
import { alertFiles } from "../platform/alert_files.ts";
import { openStoredPartition } from "../platform/duckdb/partition.ts";
import { logSettings, openLogAt } from "../platform/log_address.ts";
import { runService, serviceSettings } from "../platform/service.ts";
import { holdPresence } from "../platform/worker_presence.ts";
import { holdWorkerName } from "../platform/worker_name.ts";
import { aggregatorMetricsHelp, defaultAggregatorConfig } from "./mod.ts";
import { startAggregator } from "./service.ts";
import { aggregatorSettings, judgeOf } from "./settings.ts";

const SEE = "see /live, /explain, /alerts, /status, /healthz, /readyz and /metrics\n";

await runService({
  name: "aggregator",
  purpose: "turns the log's records into windowed rows and publishes them as files",
  metricsHelp: aggregatorMetricsHelp,
  table: { ...aggregatorSettings, ...logSettings, ...serviceSettings },
  start: async ({ settings, clock, random, trace, metrics, fail }) => {
    const replay = settings.replay || Deno.args.includes("--replay");
    const ports = { clock, random, trace, metrics };
    const held = settings.worker === null ? await holdWorkerName(settings.data, random) : null;
    const worker = held?.name ?? settings.worker!;
    const log = await openLogAt(settings.log, settings.partitions, ports, { replay, member: worker });
    const presence = settings.publish === null ? null : await holdPresence({
      ...{ folder: settings.publish, name: worker, clock, trace },
      dead: async (name) => await log.reader.dismiss?.(name),
    });
    const config = {
      ...defaultAggregatorConfig,
      judge: judgeOf(settings),
      worker,
      publishEveryMs: settings.publishEveryMs,
      replay,
      acceptGap: settings.acceptGap || Deno.args.includes("--accept-gap"),
    };
    const running = startAggregator({
      ...{ log, ...ports },
      alertFiles: alertFiles({
        data: settings.data,
        rules: settings.alerts,
        shared: settings.publish ?? settings.data,
      }),
      openPartition: (partition, rows) =>
        openStoredPartition({
          directory: settings.publish ?? settings.data,
          privateDirectory: settings.data,
          partition,
          retentionMs: config.judge.retentionMs,
          rows,
          earliestOffset: async () => (await log.reader.range(partition)).earliest,
          trace,
        }),
    }, config);
    running.done.catch(fail);
    const { endpoints } = running;
    return {
      handler: (request) => endpoints.handle(request) ?? new Response(SEE, { status: 404 }),
      listen: { hostname: settings.host, port: settings.port },
      gauge: () => endpoints.gauge(),
      closing: () => endpoints.close(),
      ready: () => running.ready(),
      banner: ({ url }) => [
        `aggregator writes rows to ${settings.data}; what it does at ${url}/status, metrics at ${url}/metrics`,
      ],
      stop: async () => {
        await running.stop();
        await log.close();
        await presence?.release();
        held?.release();
      },
    };
  },
});
