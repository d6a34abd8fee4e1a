/** Control records over HTTP, for keys that may: devices are retired and renamed, quarantined readings released. */
import type { Appended } from "../core/ports/log.ts";
import { decodeDeviceRecord, decodeRelease, deviceNameProblem } from "../core/schema.ts";
import { jsonAnswer, type Refusal, refused } from "./answers.ts";
import { secretOf } from "./authority.ts";
import { incomingOf } from "./incoming.ts";
import type { Intake } from "./intake.ts";

/** No control record is longer. */
const BYTES_MAX = 16_384;

interface Control {
  readonly device: string;
  readonly kind: "device" | "release";
}

/** `POST /v1/devices/{device}` */
export function actOnDevice(request: Request, device: string, intake: Intake): Promise<Response | Refusal> {
  return takeControl(request, intake, (bytes) => {
    const wrong = deviceNameProblem(device);
    if (wrong !== null) return `the device ${wrong}`;
    const decoded = decodeDeviceRecord(bytes);
    return decoded.kind === "bad" ? decoded.detail : { device, kind: "device" };
  });
}

/** `POST /v1/releases` */
export function release(request: Request, intake: Intake): Promise<Response | Refusal> {
  return takeControl(request, intake, (bytes) => {
    const decoded = decodeRelease(bytes);
    return decoded.kind === "bad" ? decoded.detail : { device: decoded.value.device, kind: "release" };
  });
}

async function takeControl(
  request: Request,
  intake: Intake,
  decode: (bytes: Uint8Array) => Control | string,
): Promise<Response | Refusal> {
  const incoming = incomingOf(request);
  const admitted = intake.admit(incoming, secretOf(incoming));
  if (admitted.kind === "refused") return admitted;
  const body = await intake.body(incoming, BYTES_MAX);
  if (body.kind === "refused") return body;
  try {
    const control = decode(body.bytes);
    if (typeof control === "string") {
      return refused("no-batch", `${control}; nothing was stored`, {
        problems: [{ path: "", message: control }],
      });
    }
    const appended = await intake.control(admitted.grant, control.device, control.kind, body.bytes);
    return isRefusal(appended) ? appended : jsonAnswer(202, {
      partition: appended.partition,
      offset: appended.offset,
      append_ms: appended.appendMs,
    });
  } finally {
    body.release();
  }
}

const isRefusal = (outcome: Appended | Refusal): outcome is Refusal => "kind" in outcome;
