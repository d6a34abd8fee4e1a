/** Rules, deliveries and the webhook of alerts in the real world: files of a data folder, and HTTP. */
import { readTextIfAny, replaceFile } from "./durable_files.ts";

/** A receiver that takes longer counts as one that doesn't answer. */
const ANSWER_MS = 10_000;

export interface AlertPaths {
  /** The data folder. */
  readonly data: string;
  /** The file of rules; null: `alerts.json` in the data folder. */
  readonly rules: string | null;
  /** Where deliveries are kept: the folder that all workers share, so that the next owner of a partition finds them. */
  readonly shared: string;
}

export function alertFiles({ data, rules, shared }: AlertPaths) {
  const folder = `${shared}/alert-deliveries`;
  const path = (partition: number) => `${folder}/${partition}.json`;
  return {
    rules: () => readTextIfAny(rules ?? `${data}/alerts.json`),
    kept: (partition: number) => readTextIfAny(path(partition)),
    async keep(partition: number, text: string) {
      await Deno.mkdir(folder, { recursive: true });
      await replaceFile(path(partition), text);
    },
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
