/**
 * The frames of Wokwi's automation protocol, version 1: one JSON object each. `hello` comes first; each `command` is
 * answered by one `response` with its id; `event`s come in between; an `error` ends the conversation.
 */
export interface HelloFrame {
  readonly type: "hello";
  readonly protocolVersion: 1;
  readonly appName: string;
  readonly appVersion: string;
}

export interface ResponseFrame {
  readonly type: "response";
  readonly command: string;
  readonly id: string;
  /** Of a failed command: `{ code, message }`. */
  readonly result: Readonly<Record<string, unknown>>;
  readonly error: boolean;
}

export interface EventFrame {
  readonly type: "event";
  readonly event: "serial-monitor:data" | "sim:pause" | "pin:change" | "chips:log";
  readonly payload: Readonly<Record<string, unknown>>;
  /** Simulated nanoseconds since the start. */
  readonly nanos: number;
  readonly paused: boolean;
}

export interface ErrorFrame {
  readonly type: "error";
  readonly message: string;
}

export type ServerFrame = HelloFrame | ResponseFrame | EventFrame | ErrorFrame;

/** What a client sends, as far as it is looked at before its parameters are. */
export interface CommandFrame {
  readonly command: string;
  readonly id: string;
  readonly params: Readonly<Record<string, unknown>>;
}

const ID_LENGTH_MAX = 64;
const COMMAND_LENGTH_MAX = 64;

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** A command frame, or a sentence that says why it is none. Takes JSON text or what it stands for. */
export function decodeCommandFrame(raw: unknown): CommandFrame | string {
  let frame = raw;
  if (typeof raw === "string") {
    try {
      frame = JSON.parse(raw);
    } catch {
      return "a frame is one JSON object; this one is no JSON";
    }
  }
  if (!isObject(frame)) return "a frame is one JSON object; this one is none";
  if (frame.type !== "command") return 'a client sends frames of the type "command" only';
  const { command, id, params } = frame;
  if (typeof command !== "string" || command.length === 0 || command.length > COMMAND_LENGTH_MAX) {
    return `a command has a name of 1 to ${COMMAND_LENGTH_MAX} characters in "command"`;
  }
  if (typeof id !== "string" || id.length > ID_LENGTH_MAX) {
    return `a command has an id: a text of at most ${ID_LENGTH_MAX} characters in "id"`;
  }
  if (params === undefined || params === null) return { command, id, params: {} };
  return isObject(params) ? { command, id, params } : 'a command\'s "params" are an object';
}
