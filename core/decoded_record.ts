/** A record with what it was decoded to, as far as that can be told from the record and the partition alone. */
import { type AlertRule, decodeRules } from "./alert_rules.ts";
import { unreachable } from "./assert.ts";
import type { LogRecord } from "./ports/log.ts";
import {
  type Batch,
  decodeBatch,
  decodeDeviceRecord,
  decodeOwner,
  decodeRelease,
  type DeviceRecord,
  type RecordKind,
  type ReleaseRecord,
} from "./schema.ts";

export type DecodedRecord =
  & { readonly record: LogRecord; readonly appendMs: number }
  & (
    | { readonly kind: "tick" }
    | { readonly kind: "owner" }
    | { readonly kind: "batch"; readonly batch: Batch }
    | { readonly kind: "misplaced"; readonly batch: Batch }
    | { readonly kind: "device"; readonly device: string; readonly control: DeviceRecord }
    | { readonly kind: "release"; readonly release: ReleaseRecord }
    | { readonly kind: "rules"; readonly rules: readonly AlertRule[] }
    | { readonly kind: "undecodable"; readonly detail: string }
  );

/** `isOurs`: whether a device belongs to the record's partition. */
export function decodeRecord(
  record: LogRecord,
  appendMs: number,
  kind: RecordKind,
  isOurs: (device: string) => boolean,
): DecodedRecord {
  const base = { record, appendMs };
  switch (kind) {
    case "tick":
      return { ...base, kind };
    case "owner": {
      const owner = decodeOwner(record.value);
      return owner.kind === "ok" ? { ...base, kind } : { ...base, kind: "undecodable", detail: owner.detail };
    }
    case "device": {
      const control = decodeDeviceRecord(record.value);
      const device = record.key ?? "";
      if (control.kind === "bad") return { ...base, kind: "undecodable", detail: control.detail };
      if (device === "" || !isOurs(device)) {
        const detail = `${JSON.stringify(device)} is no device of this partition`;
        return { ...base, kind: "undecodable", detail };
      }
      return { ...base, kind, device, control: control.value };
    }
    case "release": {
      const release = decodeRelease(record.value);
      if (release.kind === "bad") return { ...base, kind: "undecodable", detail: release.detail };
      if (!isOurs(release.value.device)) {
        return { ...base, kind: "undecodable", detail: "the released device is not of this partition" };
      }
      return { ...base, kind, release: release.value };
    }
    case "rules": {
      const decoded = decodeRules(record.value);
      return decoded.kind === "ok"
        ? { ...base, kind, rules: decoded.value }
        : { ...base, kind: "undecodable", detail: decoded.detail };
    }
    case "batch": {
      const decoded = decodeBatch(record.value ?? new Uint8Array());
      if (decoded.kind === "problems") {
        const detail = decoded.problems.map(({ path, message }) => `${path} ${message}`.trim()).join("; ");
        return { ...base, kind: "undecodable", detail };
      }
      const { batch } = decoded;
      return isOurs(batch.device) ? { ...base, kind, batch } : { ...base, kind: "misplaced", batch };
    }
    default:
      return unreachable(kind);
  }
}
