/** The ingest service alone: `deno task start:ingest`, configured by environment. */
import { logSettings, openLogAt } from "../platform/log_address.ts";
import { singleKey } from "../platform/keys.ts";
import { lanAddress, runService, serviceSettings } from "../platform/service.ts";
import { doorOf, ingestSettings } from "./config.ts";
import { createIngest, ingestMetricsHelp } from "./mod.ts";

await runService({
  name: "ingest",
  purpose: "takes readings over HTTP and appends them to the log",
  table: { ...ingestSettings, ...logSettings, ...serviceSettings },
  metricsHelp: ingestMetricsHelp,
  start: async ({ settings, clock, random, trace, metrics }) => {
    const choice = doorOf(settings);
    if (choice.kind === "problem") throw new Error(choice.problem);
    const { hostname, open } = choice.door;
    const log = await openLogAt(settings.log, settings.partitions, { clock, random, trace, metrics });
    const authority = settings.key === null ? {} : { authority: singleKey(settings.key) };
    const ingest = createIngest({ log: log.writer, clock, random, trace, metrics, ...authority });
    return {
      handler: ingest.handler,
      listen: { hostname, port: settings.port },
      ready: () => ingest.ready(),
      banner: ({ url, port }) => [
        `ingest takes readings at ${url}/v1/readings`,
        ...open
          ? [`a board on the desk sends to http://${lanAddress() ?? hostname}:${port}, with the key`]
          : [],
      ],
      stop: async () => {
        await ingest.stop();
        await log.close();
      },
    };
  },
});
