/**
 * Load for ingest, in a process of its own: many keep-alive connections, each a device of its own that sends a request,
 * waits for the answer and sends the next. Raw sockets, so that little of the machine goes to the client.
 *
 * `deno run -A bench/ingest/load.ts '{"port":8086,"connections":500,"readings":1,"seconds":10}'` prints a JSON line.
 */

export interface LoadOptions {
  readonly port: number;
  readonly path?: string;
  readonly connections: number;
  /** Readings in one request. */
  readonly readings: number;
  readonly seconds: number;
  /** Not measured: until everything is compiled and connected. */
  readonly warmupSeconds?: number;
  /** Time between two requests of one connection; 0: at once. */
  readonly pauseMs?: number;
  /** Connections begin at moments spread over one pause, as boards do, and not all at once. */
  readonly startsSpread?: boolean;
  /** Send as many readings as the last answer's credit allows, at most 1,000, beginning with `readings`: a backlog. */
  readonly honoursCredit?: boolean;
  /** Names the devices of this load. */
  readonly name?: string;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly readingsPerSecond: number;
  /** Readings that were acknowledged in the whole run, warm-up included. */
  readonly acceptedInAll: number;
  /** From the first request to the last answer, warm-up included. */
  readonly wholeSeconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers by status. */
  readonly statuses: Readonly<Record<string, number>>;
  /** Smallest and largest credit that was offered. */
  readonly creditMin: number | null;
  readonly creditMax: number | null;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Runs the load to its end. */
export async function runLoad(options: LoadOptions): Promise<LoadResult> {
  const {
    port,
    path = "/v1/readings",
    connections,
    readings,
    seconds,
    warmupSeconds = 2,
    pauseMs = 0,
    name = "load",
  } = options;
  const startMs = performance.now();
  const measureFromMs = startMs + warmupSeconds * 1_000;
  const endMs = measureFromMs + seconds * 1_000;
  const latencies: number[] = [];
  const statuses: Record<string, number> = {};
  let creditMin: number | null = null;
  let creditMax: number | null = null;
  let accepted = 0;
  let acceptedInAll = 0;
  const boot = Math.floor(Date.now());

  const requestOf = (device: string, seq: number, count: number): Uint8Array => {
    const rows: string[] = [];
    const base = Date.now() - count * 10;
    for (let i = 0; i < count; i++) {
      const temperature = (20 + ((seq + i) % 50) / 10).toFixed(1);
      const humidity = (40 + ((seq + i) % 200) / 10).toFixed(1);
      rows.push(
        `{"seq":${seq + i},"ts":${base + i * 10},"temperature_c":${temperature},"humidity_pct":${humidity}}`,
      );
    }
    const body = `{"device":"${device}","boot":${boot},"every_ms":10000,"readings":[${rows.join(",")}]}`;
    return encoder.encode(
      `POST ${path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
    );
  };

  const connectionOf = async (index: number) => {
    const device = `${name}-${index}`;
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay();
    const buffer = new Uint8Array(16_384);
    let count = readings;
    if (options.startsSpread === true) {
      await new Promise((resolve) => setTimeout(resolve, (pauseMs * index) / connections));
    }
    try {
      for (let seq = 0; performance.now() < endMs; seq += count) {
        const request = requestOf(device, seq, count);
        const sentMs = performance.now();
        for (let sent = 0; sent < request.length;) sent += await connection.write(request.subarray(sent));
        let text = "";
        while (!isWhole(text)) {
          const count = await connection.read(buffer);
          if (count === null) throw new Error("closed");
          text += decoder.decode(buffer.subarray(0, count));
        }
        const gotMs = performance.now();
        if (text.startsWith("HTTP/1.1 202")) acceptedInAll += Number(/"accepted":(\d+)/.exec(text)?.[1] ?? 0);
        if (gotMs >= measureFromMs && gotMs < endMs) {
          latencies.push(gotMs - sentMs);
          const status = text.slice(9, 12);
          statuses[status] = (statuses[status] ?? 0) + 1;
          const credit = /"credit":(\d+)/.exec(text)?.[1];
          if (credit !== undefined) {
            creditMin = Math.min(creditMin ?? Infinity, Number(credit));
            creditMax = Math.max(creditMax ?? 0, Number(credit));
          }
          accepted += Number(/"accepted":(\d+)/.exec(text)?.[1] ?? (status === "202" ? count : 0));
        }
        if (options.honoursCredit === true) {
          count = Math.min(1_000, Number(/"credit":(\d+)/.exec(text)?.[1] ?? count));
        }
        if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.5 + Math.random())));
      }
    } catch (error) {
      const what = (error as Error).name;
      statuses[what] = (statuses[what] ?? 0) + 1;
    } finally {
      connection.close();
    }
  };
  await Promise.all(Array.from({ length: connections }, (_, index) => connectionOf(index)));
  latencies.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round((latencies[Math.floor(latencies.length * share)] ?? NaN) * 10) / 10;
  return {
    requests: latencies.length,
    requestsPerSecond: Math.round(latencies.length / seconds),
    readingsPerSecond: Math.round(accepted / seconds),
    acceptedInAll,
    wholeSeconds: (performance.now() - startMs) / 1_000,
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    maxMs: at(0.99999),
    statuses,
    creditMin,
    creditMax,
  };
}

/** True when headers and body, by its stated length, have arrived. */
function isWhole(text: string): boolean {
  const headerEnd = text.indexOf("\r\n\r\n");
  if (headerEnd < 0) return false;
  const length = Number(/\r\ncontent-length: (\d+)/i.exec(text)?.[1] ?? 0);
  return text.length >= headerEnd + 4 + length;
}

if (import.meta.main) console.log(JSON.stringify(await runLoad(JSON.parse(Deno.args[0] ?? "{}"))));
