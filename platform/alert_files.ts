/** Rules, state and deliveries of alerts in the real world: two files of a data folder, and HTTP. */
import { readTextIfAny, replaceFile } from "./durable_files.ts";

/** A receiver that takes longer counts as one that doesn't answer. */
const ANSWER_MS = 10_000;

/** `rules` is a path, by default `alerts.json` in the data folder; the state lies beside the data. */
export function alertFiles(data: string, rules: string | null) {
  const statePath = `${data}/alerts-state.json`;
  return {
    rules: () => readTextIfAny(rules ?? `${data}/alerts.json`),
    kept: () => readTextIfAny(statePath),
    keep: (text: string) => replaceFile(statePath, text),
    async post(url: string, body: string): Promise<number> {
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body,
        redirect: "manual",
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      await response.body?.cancel();
      return response.status;
    },
  };
}
