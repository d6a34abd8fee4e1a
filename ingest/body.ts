/**
 * Reads a request's body within bounds: never more bytes than allowed, never longer than allowed, and never more in all
 * requests together than the budget.
 */
import type { Clock } from "../core/ports/clock.ts";
import { type Refusal, refused } from "./answers.ts";

/** Bytes that all requests together may hold in memory. */
export class ByteBudget {
  readonly #bytesMax: number;
  /** When to come again, if there are none. */
  readonly retryAfterMs: () => number;
  #bytes = 0;

  constructor(bytesMax: number, retryAfterMs: () => number) {
    this.#bytesMax = bytesMax;
    this.retryAfterMs = retryAfterMs;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes `bytes` if they are to be had. */
  take(bytes: number): boolean {
    if (this.#bytes + bytes > this.#bytesMax) return false;
    this.#bytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#bytes -= bytes;
  }
}

export interface BodyLimits {
  readonly bytesMax: number;
  readonly bodyMs: number;
}

/** The bytes; the caller gives `bytes.length` back to the budget when done with them. */
export type BodyOutcome = { readonly kind: "body"; readonly bytes: Uint8Array<ArrayBuffer> } | Refusal;

export async function readBody(
  request: Request,
  { bytesMax, bodyMs }: BodyLimits,
  budget: ByteBudget,
  clock: Clock,
): Promise<BodyOutcome> {
  const stated = Number(request.headers.get("content-length") ?? 0);
  if (stated > bytesMax) return tooLarge(bytesMax, `it states ${stated}`);
  if (stated > 0 && stated <= SHORT_BYTES_MAX) {
    return await readShort(request, { bytesMax, bodyMs }, budget, clock);
  }
  if (request.body === null) return { kind: "body", bytes: new Uint8Array() };
  const reader = request.body.getReader();
  let slow = false;
  const cancel = clock.after(bodyMs, () => {
    slow = true;
    reader.cancel().catch(() => {});
  });
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let held = 0;
  const give = (refusal: Refusal): Refusal => {
    budget.give(held);
    reader.cancel().catch(() => {});
    return refusal;
  };
  try {
    for (;;) {
      const next = await reader.read();
      if (slow) return give(refused("too-slow", `the body took longer than ${bodyMs / 1_000} s`));
      if (next.done) break;
      const { length } = next.value;
      if (held + length > bytesMax) return give(tooLarge(bytesMax, "it has more"));
      if (!budget.take(length)) {
        return give(
          refused("busy", "too many bodies are being received", { retryAfterMs: budget.retryAfterMs() }),
        );
      }
      held += length;
      chunks.push(next.value);
    }
  } catch {
    return give(refused("bad-request", "the request ended before its body was complete"));
  } finally {
    cancel();
  }
  return { kind: "body", bytes: chunks.length === 1 ? chunks[0]! : joined(chunks, held) };
}

/** The server holds bodies to their stated length, and hands short ones on whole: no stream is needed for them. */
const SHORT_BYTES_MAX = 16_384;
/** Turns of the microtask queue in which a body that is at hand is read. */
const AT_HAND_TURNS = 16;

/** Most bodies: read in one piece, without a timer unless it has to be waited for. */
async function readShort(
  request: Request,
  { bytesMax, bodyMs }: BodyLimits,
  budget: ByteBudget,
  clock: Clock,
): Promise<BodyOutcome> {
  let bytes: Uint8Array<ArrayBuffer> | null | undefined;
  const reading = request.arrayBuffer().then((buffer) => bytes = new Uint8Array(buffer), () => bytes = null);
  for (let turn = 0; turn < AT_HAND_TURNS && bytes === undefined; turn++) await undefined;
  if (bytes === undefined) {
    const read = new AbortController();
    await Promise.race([reading, clock.sleep(bodyMs, read.signal)]);
    read.abort();
  }
  if (bytes === undefined) return refused("too-slow", `the body took longer than ${bodyMs / 1_000} s`);
  if (bytes === null) return refused("bad-request", "the request ended before its body was complete");
  return wholeBody(bytes, { bytesMax }, budget);
}

/** A body that has arrived, as long as was stated. */
export function wholeBody(
  bytes: Uint8Array<ArrayBuffer>,
  { bytesMax }: Pick<BodyLimits, "bytesMax">,
  budget: ByteBudget,
): BodyOutcome {
  if (bytes.length > bytesMax) return tooLarge(bytesMax, `it states ${bytes.length}`);
  if (!budget.take(bytes.length)) {
    return refused("busy", "too many bodies are being received", { retryAfterMs: budget.retryAfterMs() });
  }
  return { kind: "body", bytes };
}

const tooLarge = (bytesMax: number, what: string) =>
  refused("too-large", `the body may have ${bytesMax} bytes, ${what}: send smaller batches`);

function joined(chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}
