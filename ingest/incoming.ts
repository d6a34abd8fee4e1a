/** What a door has to know of a request, whatever brought it: the web's `Request`, or the server's plain route. */
import type { Clock } from "../core/ports/clock.ts";
import { type BodyLimits, type BodyOutcome, type ByteBudget, readBody, wholeBody } from "./body.ts";

export interface Incoming {
  /** A header's value, or null. `name` in lower case. */
  header(name: string): string | null;
  /** The body as received, within bounds; the caller gives its bytes back to the budget. */
  read(limits: BodyLimits, budget: ByteBudget, clock: Clock): Promise<BodyOutcome>;
}

/** A request as the web knows it. */
export const incomingOf = (request: Request): Incoming => ({
  header: (name) => request.headers.get(name),
  read: (limits, budget, clock) => readBody(request, limits, budget, clock),
});

/** A request whose body is in memory. */
export const wholeIncoming = (
  { header, body }: { header(name: string): string | null; readonly body: Uint8Array<ArrayBuffer> },
): Incoming => ({
  header,
  read: (limits, budget) => Promise.resolve(wholeBody(body, limits, budget)),
});
