/** The dashboard service alone: `deno task start:dashboard`, on a data folder that an aggregator publishes to. */
import { keyHashing } from "../platform/keys.ts";
import { openPublishedRows } from "../platform/published_rows.ts";
import { createQueryProcesses } from "../platform/query_process.ts";
import { runService, serviceSettings } from "../platform/service.ts";
import { createDashboard } from "./mod.ts";
import { dashboardSettings, doorProblem, hostsOf } from "./settings.ts";

await runService({
  name: "dashboard",
  purpose: "shows published files and live values as pages",
  table: { ...dashboardSettings, ...serviceSettings },
  start: async ({ settings, clock, random, trace }) => {
    const { host, port, token, data, aggregator } = settings;
    const problem = doorProblem(settings);
    if (problem !== null) throw new Error(problem);
    const addresses = Deno.networkInterfaces().map(({ address }) => address);
    const rows = openPublishedRows(data);
    const sql = Deno.build.os === "windows" ? null : createQueryProcesses({ data, clock });
    const dashboard = await createDashboard({
      rows,
      sql,
      aggregator: aggregator === "none" ? null : (path, init) => fetch(`${aggregator}${path}`, init),
      bench: null,
      clock,
      random,
      trace,
    }, {
      tokenHash: token === null ? null : keyHashing.hashOf(token),
      hosts: hostsOf(host, addresses, settings.names?.split(",") ?? []),
      proxies: settings.proxies?.split(",") ?? [],
      ingestUrl: null,
    });
    return {
      handler: (request, client) => dashboard.handle(request, client),
      listen: { hostname: host, port },
      ready: () => null,
      banner: ({ url }) => [`dashboard shows ${data} at ${url}/`],
      stop: async () => {
        await sql?.close();
        await rows.close();
      },
    };
  },
});
