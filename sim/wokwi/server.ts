/** The offline simulator as a server: what `WOKWI_CLI_SERVER` points Wokwi's tools at. One client, one session. */
import type { Clock } from "../../core/ports/clock.ts";
import {
  type ServerSocket,
  serveWebSockets,
  type SocketEvents,
  type WebSocketServer,
} from "../../platform/websocket_server.ts";
import type { FromWorker, ToWorker, WorkerJob } from "./session_worker.ts";
import { uploadLimits } from "./uploads.ts";

export interface WokwiServerOptions extends WorkerJob {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly clock: Clock;
  /** What an operator may want to know, in sentences. */
  readonly onWarning: (sentence: string) => void;
  /** Clients at once (default {@link sessionsMax}); one more is told so, and its connection ends. */
  readonly sessionsMax?: number;
  /** Wall milliseconds for which a program may run without letting go (default {@link hangMs}). */
  readonly hangMs?: number;
}

/** Longer than anything honest takes, on a busy machine as well: 100 MB of JSON take two seconds of a core. */
export const hangMs = 30_000;
/** A Worker that has not come up by then doesn't. */
const START_MS = 120_000;
/** A session takes some 60 MB and, while it runs at full speed, a core. */
export const sessionsMax = 16;
const CONNECTIONS_MAX = 64;
/** The largest upload in base64, and some room for the frame around it. */
const FRAME_BYTES_MAX = Math.ceil(uploadLimits.fileBytesMax * 4 / 3) + (1 << 20);
/** Policy violation (RFC 6455, section 7.4.1): the program hangs. */
const HUNG_CODE = 1008;
/** Try again later (IANA's registry of close codes). */
const TRY_LATER_CODE = 1013;

/** Listens; resolves when it does. */
export function serveWokwi(options: WokwiServerOptions): Promise<WebSocketServer> {
  const { hostname, port, clock, sessionsMax: most = sessionsMax } = options;
  let sessionCount = 0;
  return serveWebSockets({
    hostname,
    port,
    clock,
    messageBytesMax: FRAME_BYTES_MAX,
    connectionsMax: CONNECTIONS_MAX,
    about:
      "This is a simulator for Wokwi's tools: set WOKWI_CLI_SERVER to this address, with ws:// in front.",
    accept: (socket) => {
      if (sessionCount >= most) return turnAway(socket, most);
      sessionCount++;
      return converse(socket, options, () => sessionCount--);
    },
  });
}

/** Wokwi's command line dies of a refused handshake, but understands a frame that says why. */
function turnAway(socket: ServerSocket, most: number): SocketEvents {
  const message = `${most} simulations run, which is the most; end one`;
  socket.send(JSON.stringify({ type: "error", message }));
  socket.close(TRY_LATER_CODE, message);
  return { message() {}, tooLarge() {}, closed() {} };
}

/** Joins a connection with a Worker. */
function converse(socket: ServerSocket, options: WokwiServerOptions, onEnd: () => void): SocketEvents {
  const { clock, onWarning, hangMs: limitMs = hangMs } = options;
  const worker = new Worker(new URL("./session_worker.ts", import.meta.url), { type: "module" });
  const post = (message: ToWorker) => worker.postMessage(message);
  let cancelWatch = () => {};
  const end = () => {
    cancelWatch();
    worker.terminate();
  };
  const fail = (message: string) => {
    onWarning(message);
    socket.send(JSON.stringify({ type: "error", message }));
    socket.close(HUNG_CODE, message);
    end();
  };
  const hung = () =>
    fail(
      `the program has run for ${limitMs / 1_000} s without waiting for anything; ` +
        "a loop needs a time.sleep, or whatever else lets time pass",
    );
  /** Asks whether the Worker is alive, again and again; simulated time doesn't matter here. */
  const watch = () => {
    post({ kind: "ping" });
    cancelWatch = clock.after(limitMs, hung);
  };
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
    if (data.kind === "frame") socket.send(data.text);
    else if (data.kind === "warning") onWarning(data.sentence);
    else {
      cancelWatch();
      cancelWatch = clock.after(limitMs / 2, watch);
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`the simulator failed: ${event.message}`);
  };
  cancelWatch = clock.after(
    START_MS,
    () => fail(`the simulator has not come up within ${START_MS / 1_000} s`),
  );
  const { seed, files, weather, startMs, pace, hasInternet } = options;
  post({ kind: "job", job: { seed, files, weather, startMs, pace, hasInternet } });
  // The first answer comes when the Worker has come up; only from then on does a silence mean anything.
  post({ kind: "ping" });
  return {
    message: (text) => post({ kind: "frame", text }),
    tooLarge: (bytes) =>
      socket.send(JSON.stringify({
        type: "error",
        message: `a frame of ${bytes} bytes is too large: a file may have ${uploadLimits.fileBytesMax} bytes`,
      })),
    closed: () => {
      end();
      onEnd();
    },
  };
}
