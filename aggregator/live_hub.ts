/**
 * `GET /live`: one process's live feed for any number of clients (docs/endpoints.md has the contract).
 *
 * Only committed versions are numbered and kept, in a ring: what a client has missed of open windows, devices and
 * positions is told by their present state, which follows at the beginning of every stream. So an id is the number of
 * the newest version that is told before it, and resuming is: the versions after it, then the present state.
 *
 * The feed calls us and goes on; each client has a bounded queue, and in it a newer state of the same thing takes the
 * place of the older one. A client's stream is pulled: what it does not read is not made.
 */
import type { DeviceView } from "../core/partition.ts";
import type { Clock } from "../core/ports/clock.ts";
import type { LiveEvent, LiveFeed } from "../core/ports/live_feed.ts";
import type { WindowRow } from "../core/rows.ts";
import { deviceShape, timeText, windowShape } from "./shapes.ts";

export const liveLimits = {
  /** Versions that can be resumed after; older ones cost a client a `reset`. */
  ringMax: 10_000,
  /** Clients at one time; one more gets 503. */
  clientsMax: 256,
  /** Events that may wait for one client, above what one transaction brings; above it is told `slow` and cut. */
  queueEventsMax: 20_000,
  /** Devices whose state begins a stream. */
  snapshotDevicesMax: 5_000,
  /** A chunk of the stream is made of at most about so much. */
  chunkCharacters: 65_536,
  heartbeatMs: 15_000,
} as const;

export type LiveLimits = { readonly [K in keyof typeof liveLimits]: number };

export interface LiveHubPorts {
  readonly feed: LiveFeed;
  readonly clock: Clock;
  /** Tells this process from any other in ids; of a–z and 0–9. */
  readonly instance: string;
  /** Every device (or those named) of every partition held, drawn when it is read. */
  views(names: readonly string[] | null): Iterable<DeviceView>;
  /** How far each partition held is. */
  positions(): readonly {
    readonly partition: number;
    readonly nextOffset: number;
    readonly appendHighMs: number;
  }[];
}

/** What a client wants; null is everything. */
export interface LiveFilter {
  readonly devices: ReadonlySet<string> | null;
  readonly windowSizes: ReadonlySet<string> | null;
}

export type ResetReason = "new" | "restarted" | "too_far_back" | "unknown_id";

export interface LiveHub {
  /** A stream of events; null when there are too many clients. `since`: an id, "oldest", or null. */
  open(filter: LiveFilter, since: string | null): ReadableStream<Uint8Array> | null;
  status(): {
    readonly clients: number;
    readonly ringEvents: number;
    readonly oldestId: string;
    readonly newestId: string;
  };
  /** Ends every stream, and takes no more clients. */
  close(): void;
}

interface RingEntry {
  readonly row: WindowRow;
  /** Made when the first client wants it. */
  data: string | null;
}

interface Queued {
  /** Null: an event without an id. */
  readonly id: number | null;
  /** Made when it is sent: what waits costs a reference. */
  readonly text: () => string;
}

interface Client {
  readonly filter: LiveFilter;
  /** What a stream begins with, drawn as it is read; null afterwards. */
  beginning: Iterator<string> | null;
  /** By the thing whose state it is, so that a newer one takes the place of an older one. In order of insertion. */
  readonly queue: Map<string, Queued>;
  isEnding: boolean;
  isIdle: boolean;
  wake: (() => void) | null;
}

const encoder = new TextEncoder();

export function createLiveHub(ports: LiveHubPorts, limits: LiveLimits = liveLimits): LiveHub {
  const { feed, clock, instance } = ports;
  const clients = new Set<Client>();
  const ring: (RingEntry | undefined)[] = [];
  /** Number of the newest version; the first has 1. Number n lies at n modulo the ring's size. */
  let newest = 0;
  let isClosed = false;
  let cancelHeartbeat: (() => void) | null = null;

  const oldest = () => Math.max(1, newest - limits.ringMax + 1);
  const idOf = (number: number) => `${instance}.${number}`;
  const bodyText = (event: string, data: string) => `event: ${event}\ndata: ${data}\n\n`;
  const eventText = (number: number, event: string, data: string) =>
    `id: ${idOf(number)}\n${bodyText(event, data)}`;
  const dataOf = (entry: RingEntry) => entry.data ??= JSON.stringify(windowShape(entry.row));

  const wantsWindow = ({ devices, windowSizes }: LiveFilter, row: WindowRow) =>
    (devices === null || devices.has(row.device)) &&
    (windowSizes === null || windowSizes.has(row.windowSize));
  const wantsDevice = ({ devices }: LiveFilter, device: string) =>
    device !== "" && (devices === null || devices.has(device));

  // --- what is told to all -----------------------------------------------------------------------------------------

  const put = (client: Client, key: string, text: () => string) => {
    if (client.isEnding) return;
    // In the place and with the id of the older one: what was queued between is not yet told.
    client.queue.set(key, { id: client.queue.get(key)?.id ?? newest, text });
    if (client.queue.size > limits.queueEventsMax) cut(client);
    client.wake?.();
  };

  const cut = (client: Client) => {
    const sentence = "this client reads more slowly than events come: reconnect to go on from the last id, " +
      "or ask for fewer devices and window sizes";
    const data = JSON.stringify({ queued: client.queue.size, sentence });
    client.queue.clear();
    client.beginning = null;
    client.queue.set("slow", { id: null, text: () => bodyText("slow", data) });
    client.isEnding = true;
  };

  const onEvent = (event: LiveEvent) => {
    switch (event.kind) {
      case "window": {
        const entry: RingEntry = { row: event.row, data: null };
        if (!event.open) {
          newest++;
          ring[newest % limits.ringMax] = entry;
        }
        for (const client of clients) {
          if (!wantsWindow(client.filter, event.row)) continue;
          const key = event.open
            ? `open ${event.row.startMs} ${event.row.windowSize} ${event.row.device}`
            : `version ${newest}`;
          put(client, key, () => bodyText("window", dataOf(entry)));
        }
        return;
      }
      case "device": {
        let data: string | null = null;
        const text = () => bodyText("device", data ??= JSON.stringify(deviceShape(event.row, event.last)));
        for (const client of clients) {
          if (wantsDevice(client.filter, event.row.device)) put(client, `device ${event.row.device}`, text);
        }
        return;
      }
      case "position":
        for (const client of clients) {
          put(client, `position ${event.partition}`, () => bodyText("position", positionData(event)));
        }
    }
  };

  // --- how a stream begins -----------------------------------------------------------------------------------------

  /** Number after which a known id goes on, or why it can't. */
  const startOf = (since: string | null): { readonly after: number; readonly reset: ResetReason | null } => {
    if (since === null) return { after: newest, reset: "new" };
    if (since === "oldest") return { after: oldest() - 1, reset: "new" };
    const match = /^([a-z0-9]+)\.(\d{1,15})$/.exec(since);
    if (match === null) return { after: newest, reset: "unknown_id" };
    if (match[1] !== instance) return { after: newest, reset: "restarted" };
    const after = Number(match[2]);
    if (after > newest) return { after: newest, reset: "unknown_id" };
    return after < oldest() - 1 ? { after: newest, reset: "too_far_back" } : { after, reset: null };
  };

  function* beginning(
    filter: LiveFilter,
    { after, reset }: ReturnType<typeof startOf>,
    last: number,
  ): Generator<string> {
    if (reset !== null) yield eventText(after, "reset", JSON.stringify({ reason: reset }));
    for (let number = after + 1; number <= last; number++) {
      if (number < oldest()) { // drawn so slowly that the ring went past
        yield eventText(last, "reset", JSON.stringify({ reason: "too_far_back" }));
        break;
      }
      const entry = ring[number % limits.ringMax]!;
      if (wantsWindow(filter, entry.row)) yield eventText(number, "window", dataOf(entry));
    }
    // State has the number up to which versions are told: what comes after them waits in the queue.
    let devices = 0;
    for (const view of ports.views(filter.devices === null ? null : [...filter.devices])) {
      if (view.row.device === "") continue;
      if (++devices > limits.snapshotDevicesMax) break;
      yield eventText(last, "device", JSON.stringify(deviceShape(view.row, view.last)));
      for (const row of view.open) {
        if (wantsWindow(filter, row)) yield eventText(last, "window", JSON.stringify(windowShape(row)));
      }
    }
    for (const { partition, nextOffset, appendHighMs } of ports.positions()) {
      yield eventText(last, "position", positionData({ partition, nextOffset, appendMs: appendHighMs }));
    }
  }

  // --- a client's stream -------------------------------------------------------------------------------------------

  const take = (client: Client): string => {
    let text = "";
    while (text.length < limits.chunkCharacters && client.beginning !== null) {
      const next = client.beginning.next();
      if (next.done === true) client.beginning = null;
      else text += next.value;
    }
    for (const [key, queued] of client.queue) {
      if (text.length >= limits.chunkCharacters || client.beginning !== null) break;
      client.queue.delete(key);
      text += queued.id === null ? queued.text() : `id: ${idOf(queued.id)}\n${queued.text()}`;
    }
    return text;
  };

  const leave = (client: Client) => {
    clients.delete(client);
    client.wake?.();
    if (clients.size > 0) return;
    cancelHeartbeat?.();
    cancelHeartbeat = null;
  };

  const beat = () => {
    for (const client of clients) {
      // A queue that moves on is sign of life enough.
      if (client.isIdle && client.queue.size === 0) client.queue.set("heartbeat", HEARTBEAT);
      client.isIdle = true;
      client.wake?.();
    }
    cancelHeartbeat = clients.size === 0 ? null : clock.after(limits.heartbeatMs, beat);
  };

  const unsubscribe = feed.subscribe(onEvent, () => clients.size > 0);

  return {
    open(filter, since) {
      if (isClosed || clients.size >= limits.clientsMax) return null;
      const client: Client = {
        filter,
        beginning: beginning(filter, startOf(since), newest),
        queue: new Map(),
        isEnding: false,
        isIdle: false,
        wake: null,
      };
      clients.add(client);
      cancelHeartbeat ??= clock.after(limits.heartbeatMs, beat);
      return new ReadableStream<Uint8Array>({
        async pull(controller) {
          for (;;) {
            const text = take(client);
            if (text !== "") {
              client.isIdle = false;
              controller.enqueue(encoder.encode(text));
              return;
            }
            if (client.isEnding || !clients.has(client)) break;
            await new Promise<void>((resolve) => client.wake = resolve);
            client.wake = null;
          }
          leave(client);
          controller.close();
        },
        cancel: () => leave(client),
      }, { highWaterMark: 0 });
    },
    status: () => ({
      clients: clients.size,
      ringEvents: newest - oldest() + 1,
      oldestId: idOf(oldest()),
      newestId: idOf(newest),
    }),
    close() {
      isClosed = true;
      unsubscribe();
      for (const client of clients) {
        client.isEnding = true;
        client.beginning = null;
        client.wake?.();
      }
      cancelHeartbeat?.();
    },
  };
}

const HEARTBEAT: Queued = { id: null, text: () => ": heartbeat\n\n" };

function positionData(
  { partition, nextOffset, appendMs }: {
    readonly partition: number;
    readonly nextOffset: number;
    readonly appendMs: number;
  },
): string {
  return JSON.stringify({ partition, next_offset: nextOffset, append_time: timeText(appendMs) });
}
