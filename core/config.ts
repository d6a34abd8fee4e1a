/**
 * What the rows are a function of, besides the log. Recorded with the rows; a change is a rebuild, never a mixture.
 */
import { limits } from "./limits.ts";

/** A kind of window. `label` names it in SQL (`window_size`), in order of the configuration. */
export type WindowSpec =
  /** Tumbling when `hopMs` equals `sizeMs`, else hopping: a window starts at each multiple of `hopMs`. */
  | { readonly kind: "fixed"; readonly label: string; readonly sizeMs: number; readonly hopMs: number }
  /** [local midnight, next local midnight) of the IANA zone: 23, 24 or 25 h. */
  | { readonly kind: "local_day"; readonly label: string; readonly zone: string };

export interface JudgeConfig {
  /** The first is the finest: a reading is `counted_late` when its window of this kind had closed. */
  readonly windows: readonly WindowSpec[];
  readonly outOfOrderMs: number;
  readonly idleMs: number;
  readonly futureMs: number;
  readonly pendingMs: number;
  readonly retentionMs: number;
}

const fixed = (label: string, sizeMs: number): WindowSpec => ({
  kind: "fixed",
  label,
  sizeMs,
  hopMs: sizeMs,
});

export const defaultConfig: JudgeConfig = {
  windows: [fixed("1m", 60_000), fixed("1h", 3_600_000), fixed("1d", 86_400_000)],
  outOfOrderMs: limits.outOfOrderMs,
  idleMs: limits.idleMs,
  futureMs: limits.futureMsMax,
  pendingMs: limits.pendingMsMax,
  retentionMs: limits.retentionMs,
};

/**
 * The canonical text of a configuration on a log of so many partitions; its SHA-256 is the configuration's hash in the
 * store and in the manifest.
 */
export function configText(config: JudgeConfig, partitions: number): string {
  const windows = config.windows.map((spec) =>
    spec.kind === "fixed"
      ? `${spec.label}=${spec.sizeMs}/${spec.hopMs}`
      : `${spec.label}=local_day(${spec.zone})`
  );
  const bounds = [config.outOfOrderMs, config.idleMs, config.futureMs, config.pendingMs, config.retentionMs];
  return `judge 1; partitions ${partitions}; windows ${windows.join(" ")}; bounds ${bounds.join(" ")}`;
}
