/** The aggregator's live stream, handed on as it is: ids and resumption are the aggregator's (`docs/endpoints.md`). */
import type { DashboardPorts } from "./ports.ts";
import { problem } from "./answers.ts";

const passedOn = ["device", "window_size", "since"];

/**
 * Opens the stream for one reader; leaving closes it. `windows=none` leaves the windows out, which a view of ten thousand
 * devices has no use for.
 */
export async function liveStream(
  aggregator: Ask,
  request: Request,
): Promise<Response> {
  const asked = new URL(request.url).searchParams;
  const query = new URLSearchParams();
  for (const name of passedOn) for (const value of asked.getAll(name)) query.append(name, value);
  const withWindows = asked.get("windows") !== "none";
  if (!withWindows) {
    const coarsest = await coarsestSize(aggregator);
    if (coarsest !== null) query.set("window_size", coarsest); // fewer to leave out
  }
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
  const stream = withWindows ? upstream.body : upstream.body.pipeThrough(withoutWindows());
  const reader = stream.getReader();
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

type Ask = NonNullable<DashboardPorts["aggregator"]>;

async function coarsestSize(aggregator: Ask): Promise<string | null> {
  try {
    const answer = await aggregator("/status", { signal: new AbortController().signal });
    const { config } = await answer.json() as { config?: { windows?: readonly string[] } };
    return config?.windows?.at(-1) ?? null;
  } catch {
    return null;
  }
}

/** Takes whole events out of a stream of events. */
function withoutWindows(): TransformStream<Uint8Array, Uint8Array> {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  let rest = "";
  return new TransformStream({
    transform(chunk, controller) {
      const events = (rest + decoder.decode(chunk, { stream: true })).split("\n\n");
      rest = events.pop() as string;
      const kept = events.filter((event) => !/^event: window$/m.test(event));
      if (kept.length > 0) controller.enqueue(encoder.encode(`${kept.join("\n\n")}\n\n`));
    },
  });
}
