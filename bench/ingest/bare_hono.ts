/** The least that could be called ingest: the same server and Hono, which reads the body and answers. Prints its port. */
import { Hono } from "hono";
import { silentTrace } from "../../core/ports/trace.ts";
import { machineClock } from "../../platform/clock.ts";
import { metricsRegistry } from "../../platform/metrics.ts";
import { serveHttp } from "../../platform/service_http.ts";

const app = new Hono();
app.post("/v1/readings", async (context) => {
  const { readings } = await context.req.json();
  return context.json({ accepted: readings.length }, 202);
});
const server = await serveHttp({
  handler: (request) => app.fetch(request),
  port: 0,
  clock: machineClock,
  trace: silentTrace,
  metrics: metricsRegistry(),
});
console.log(`bare at ${server.url}`);
