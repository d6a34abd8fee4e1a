/** The board's socket table over a {@link Network}: TCP clients and UDP, with lwIP's way of taking only part of a send. */
import { errno } from "./errno.ts";
import { type HostSockets, poll, type SocketKind } from "./host.ts";
import type { Connection, ConnectionFailure, Network } from "./network.ts";

/** lwIP's default send buffer on the ESP32 (CONFIG_LWIP_TCP_SND_BUF_DEFAULT); one `send` takes no more. */
const SEND_BYTES_MAX = 5_744;
/** MicroPython's limit on the ESP32 (CONFIG_LWIP_MAX_SOCKETS). */
const SOCKETS_MAX = 10;

const errnoOfFailure: Readonly<Record<ConnectionFailure, number>> = {
  refused: errno.ECONNREFUSED,
  reset: errno.ECONNRESET,
  unreachable: errno.EHOSTUNREACH,
};

interface Socket {
  readonly kind: SocketKind;
  readonly received: Uint8Array[];
  connection: Connection | null;
  connected: boolean;
  ended: boolean;
  error: number;
}

export interface SocketWorld {
  readonly device: string;
  readonly network: Network;
  /** False: packets are lost, both ways. */
  linked(): boolean;
}

export class Sockets implements HostSockets {
  readonly #world: SocketWorld;
  readonly #sockets = new Map<number, Socket>();
  #lastId = 0;
  #listener: (() => void) | null = null;

  constructor(world: SocketWorld) {
    this.#world = world;
  }

  open(kind: SocketKind): number {
    if (this.#sockets.size >= SOCKETS_MAX) return -23; // ENFILE
    const socket: Socket = {
      kind,
      received: [],
      connection: null,
      connected: kind === "datagram",
      ended: false,
      error: 0,
    };
    this.#sockets.set(++this.#lastId, socket);
    return this.#lastId;
  }

  connect(id: number, host: string, port: number): number {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return errno.EBADF;
    if (!this.#world.linked()) return errno.EHOSTUNREACH;
    const arrive = (change: () => void) => this.#arrive(id, change);
    socket.connection = this.#world.network.connect(this.#world.device, host, port, {
      connected: () => arrive(() => socket.connected = true),
      received: (bytes) => arrive(() => socket.received.push(bytes)),
      ended: () => arrive(() => socket.ended = true),
      failed: (failure) => arrive(() => socket.error = errnoOfFailure[failure]),
    });
    return 0;
  }

  send(id: number, bytes: Uint8Array): number {
    const socket = this.#sockets.get(id);
    if (socket === undefined || socket.connection === null) return -errno.EBADF;
    if (socket.error !== 0) return -socket.error;
    const taken = bytes.slice(0, SEND_BYTES_MAX);
    if (this.#world.linked()) socket.connection.send(taken);
    return taken.length;
  }

  sendTo(id: number, bytes: Uint8Array, host: string, port: number): number {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return -errno.EBADF;
    if (!this.#world.linked()) return -errno.EHOSTUNREACH;
    this.#world.network.datagram(
      this.#world.device,
      host,
      port,
      bytes.slice(),
      (answer) => this.#arrive(id, () => socket.received.push(answer)),
    );
    return bytes.length;
  }

  receive(id: number, bytesMax: number): Uint8Array | number {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return -errno.EBADF;
    const first = socket.received[0];
    if (first === undefined) {
      if (socket.error !== 0) return -socket.error;
      return socket.ended ? new Uint8Array() : -errno.EAGAIN;
    }
    if (first.length <= bytesMax || socket.kind === "datagram") {
      socket.received.shift();
      return first.subarray(0, bytesMax);
    }
    socket.received[0] = first.subarray(bytesMax);
    return first.subarray(0, bytesMax);
  }

  ready(id: number, events: number): number {
    const socket = this.#sockets.get(id);
    if (socket === undefined) return poll.hangUp;
    const readable = socket.received.length > 0 || socket.ended || socket.error !== 0;
    const writable = socket.connected || socket.error !== 0;
    const failed = socket.error !== 0 ? poll.error : 0;
    return ((readable ? poll.in : 0) | (writable ? poll.out : 0)) & events | failed;
  }

  error(id: number): number {
    return this.#sockets.get(id)?.error ?? errno.EBADF;
  }

  close(id: number): void {
    this.#sockets.get(id)?.connection?.close();
    this.#sockets.delete(id);
  }

  closeAll(): void {
    this.#listener = null;
    for (const id of [...this.#sockets.keys()]) this.close(id);
  }

  resolve(name: string): string | null {
    return this.#world.linked() ? this.#world.network.resolve(name) : null;
  }

  watch(listener: (() => void) | null): void {
    this.#listener = listener;
  }

  #arrive(id: number, change: () => void): void {
    if (!this.#sockets.has(id) || !this.#world.linked()) return;
    change();
    this.#listener?.();
  }
}
