/**
 * The network as boards see it, at the level of TCP bytes and UDP datagrams. Implementations: `http_network.ts` (a
 * handler inside the simulation) and `real_network.ts` (real sockets, for `deno task dev`).
 *
 * Callbacks are called from events of the scheduler, so that they have their place in its order.
 */

/** Why a connection did not come about, or broke. */
export type ConnectionFailure = "refused" | "reset" | "unreachable";

export interface ConnectionEvents {
  connected(): void;
  received(bytes: Uint8Array): void;
  /** The other side has closed its direction. */
  ended(): void;
  failed(failure: ConnectionFailure): void;
}

export interface Connection {
  send(bytes: Uint8Array): void;
  close(): void;
}

export interface Network {
  /** Opens a TCP connection from `device`; the outcome comes through `events`. */
  connect(device: string, host: string, port: number, events: ConnectionEvents): Connection;
  /** Sends a UDP datagram; `answer` is called for each datagram that comes back. */
  datagram(
    device: string,
    host: string,
    port: number,
    bytes: Uint8Array,
    answer: (bytes: Uint8Array) => void,
  ): void;
  /** The address of `name`, as the local name server gives it; null: no such name, or no answer. */
  resolve(name: string): string | null;
}
