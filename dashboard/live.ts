/** The aggregator's live stream, handed on as it is: ids and resumption are the aggregator's (`docs/endpoints.md`). */
import type { DashboardPorts } from "./ports.ts";
import { problem } from "./answers.ts";

const passedOn = ["device", "window_size", "since"];

/** Opens the stream for one reader; leaving closes it. */
export async function liveStream(
  aggregator: NonNullable<DashboardPorts["aggregator"]>,
  request: Request,
): Promise<Response> {
  const asked = new URL(request.url).searchParams;
  const query = new URLSearchParams();
  for (const name of passedOn) for (const value of asked.getAll(name)) query.append(name, value);
  const lastId = request.headers.get("last-event-id");
  const abort = new AbortController();
  let upstream: Response;
  try {
    upstream = await aggregator(`/live?${query}`, {
      headers: { accept: "text/event-stream", ...lastId === null ? {} : { "last-event-id": lastId } },
      signal: abort.signal,
    });
  } catch {
    return problem(502, "The aggregator can't be reached: live values pause until it is back.");
  }
  if (!upstream.ok || upstream.body === null) {
    await upstream.body?.cancel();
    return problem(
      upstream.status === 503 ? 503 : 502,
      `The aggregator answered ${upstream.status} for the live stream.`,
    );
  }
  const reader = upstream.body.getReader();
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      } catch {
        controller.close(); // the reader reconnects, with its last id
      }
    },
    async cancel() {
      abort.abort();
      await reader.cancel().catch(() => {});
    },
  });
  return new Response(body, {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" },
  });
}
