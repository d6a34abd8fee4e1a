/** Ways from `@wokwi/client` to a simulator: one in this process, or one behind a WebSocket. */
import type { ITransport } from "@wokwi/client";
import type { Clock } from "../../../core/ports/clock.ts";

// What the package says of messages.
// deno-lint-ignore no-explicit-any
type Message = any;

/** The simulator's end of a conversation in this process. */
export interface Conversation {
  /** Says hello. */
  open(): void;
  receive(frame: unknown): void;
}

/** Frames go over as they are: no text, no wait. */
export class InProcessTransport implements ITransport {
  onMessage: (message: Message) => void = () => {};
  #conversation: Conversation | null = null;
  #isClosed = false;

  /** `converse` is given what takes the simulator's frames. */
  constructor(converse: (onSend: (frame: unknown) => void) => Conversation) {
    this.#conversation = converse((frame) => this.#isClosed ? undefined : this.onMessage(frame));
  }

  connect(): Promise<void> {
    this.#conversation?.open();
    return Promise.resolve();
  }

  send(message: Message): void {
    if (!this.#isClosed) this.#conversation?.receive(message);
  }

  close(): void {
    this.#isClosed = true;
    this.#conversation = null;
  }
}

export interface WebSocketTransportOptions {
  readonly url: string;
  readonly token: string;
  readonly clock: Clock;
  /** Wall milliseconds without a frame after which the simulator counts as gone (default {@link silenceMs}). */
  readonly silenceMs?: number;
}

/** Users of the cloud know runs that hang for ever: a simulator that says nothing for two minutes is given up. */
export const silenceMs = 120_000;

/** One JSON object a text frame, the token in a header, as Wokwi's command line has it. */
export class WebSocketTransport implements ITransport {
  onMessage: (message: Message) => void = () => {};
  onClose?: (code: number, reason?: string) => void;
  onError?: (error: Error) => void;
  readonly #options: WebSocketTransportOptions;
  #socket: WebSocket | null = null;
  #stopWatch: () => void = () => {};

  constructor(options: WebSocketTransportOptions) {
    this.#options = options;
  }

  /** Rejects with a sentence if there is no simulator, or it doesn't take the token. */
  connect(): Promise<void> {
    const { url, token } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const headers = { "Authorization": `Bearer ${token}`, "User-Agent": "isotherm-wokwi-test/1.0.0" };
    const socket = new WebSocket(url, { headers });
    this.#socket = socket;
    this.#watch();
    socket.onopen = () => resolve();
    socket.onerror = (event) => {
      const why = "message" in event && event.message !== "" ? `: ${event.message}` : "";
      const error = new Error(`there is no connection to ${url}${why}`);
      reject(error);
      this.onError?.(error);
    };
    socket.onmessage = ({ data }) => {
      this.#watch();
      try {
        this.onMessage(JSON.parse(String(data)));
      } catch (error) {
        if (!(error instanceof SyntaxError)) throw error;
        this.onError?.(new Error(`${url} sent a frame that is no JSON`));
      }
    };
    socket.onclose = ({ code, reason }) => {
      this.#stopWatch();
      reject(new Error(`${url} closed the connection: code ${code}${reason === "" ? "" : ` (${reason})`}`));
      this.onClose?.(code, reason);
    };
    return promise;
  }

  send(message: Message): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#stopWatch();
    this.#socket?.close();
  }

  #watch(): void {
    const { clock, url, silenceMs: limitMs = silenceMs } = this.#options;
    this.#stopWatch();
    this.#stopWatch = clock.after(limitMs, () => {
      this.onError?.(new Error(`${url} has said nothing for ${limitMs / 1_000} s`));
      this.#socket?.close();
    });
  }
}
