/**
 * A CSV file of readings → ingest. The file is streamed: at any moment one chunk of text, the batches that wait for more
 * readings of their device and the requests in flight are in memory, whatever the file's size.
 */
import { createBatcher } from "./batches.ts";
import { createCsvParser, type CsvParser, type CsvRow, guessDelimiter } from "./csv.ts";
import type { ImportOptions } from "./options.ts";
import { createRowReader, findColumns, type LocalTimeCounts, type RowReader } from "./rows.ts";
import {
  createTally,
  type Rejection,
  rejectionsShownMax,
  rejectionText,
  summaryLines,
  type Tally,
} from "./tally.ts";
import { createUploader, type UploadPorts } from "./upload.ts";

export interface ImportPorts extends Omit<UploadPorts, "reject" | "waiting"> {
  /** The file's bytes as they are read. */
  readonly bytes: AsyncIterable<Uint8Array>;
  /** A line for the user. */
  say(line: string): void;
  /** Called often; `bytes` of the file have been read. */
  progress(bytes: number, tally: Readonly<Tally>): void;
}

/** The file can't be imported as asked; the message says what to change. Nothing or only a part was sent. */
export class ImportRefused extends Error {
  override name = "ImportRefused";
}

/** Imports a file; resolves with what became of it. Rejects with `ImportRefused`, `CsvBroken` or `UploadStopped`. */
export async function importFile(
  options: ImportOptions,
  ports: ImportPorts,
  signal: AbortSignal,
): Promise<Tally> {
  const startMs = ports.clock.monotonicMs();
  const tally = createTally();
  let shown = 0;
  const reject = (rejection: Rejection) => {
    if (++shown <= rejectionsShownMax) ports.say(rejectionText(rejection));
    if (shown === rejectionsShownMax + 1) ports.say("… more rejected rows are counted only");
  };
  const uploader = createUploader({ ...ports, reject, waiting: ports.say }, tally, signal);
  const batcher = createBatcher();
  let reader: RowReader | null = null;
  let failed: unknown = null;
  try {
    for await (const rows of rowsOf(options.delimiter, ports, tally)) {
      for (const row of rows) {
        if (reader === null) {
          reader = readerOf(row, options);
          continue;
        }
        tally.rows++;
        const outcome = reader.read(row);
        if (outcome.kind === "rejected") {
          tally.rejected++;
          reject(outcome);
          continue;
        }
        for (const batch of batcher.add(outcome.reading)) await uploader.send(batch);
      }
    }
    if (reader === null) throw new ImportRefused("the file is empty: its first line has to name the columns");
    for (const batch of batcher.end()) await uploader.send(batch);
    await uploader.finish();
  } catch (error) {
    failed = error;
  }
  if (failed !== null && tally.sent === 0) throw failed;
  const noLocalTimes: LocalTimeCounts = {
    twice: 0,
    skipped: 0,
    firstTwiceLine: null,
    firstSkippedLine: null,
  };
  const elapsedMs = ports.clock.monotonicMs() - startMs;
  for (const line of summaryLines(tally, reader?.localTimes ?? noLocalTimes, options.zone, elapsedMs)) {
    ports.say(line);
  }
  if (failed !== null) throw failed;
  return tally;
}

function readerOf(header: CsvRow, options: ImportOptions): RowReader {
  const found = findColumns(header.fields, options.columns);
  if (found.kind === "missing") throw new ImportRefused(found.message);
  return createRowReader(header.fields, found.columns, options.tsFormat, options.zone);
}

async function* rowsOf(
  delimiter: string | null,
  ports: ImportPorts,
  tally: Readonly<Tally>,
): AsyncGenerator<CsvRow[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  const decode = (bytes?: Uint8Array) => {
    try {
      return bytes === undefined ? decoder.decode() : decoder.decode(bytes, { stream: true });
    } catch {
      throw new ImportRefused(
        "the file is not UTF-8: convert it, for instance with iconv -f latin1 -t utf-8",
      );
    }
  };
  let parser: CsvParser | null = delimiter === null ? null : createCsvParser(delimiter);
  let head = "";
  let bytesRead = 0;
  for await (const bytes of ports.bytes) {
    bytesRead += bytes.length;
    let text = decode(bytes);
    if (parser === null) {
      head += text;
      if (!/[\r\n]/.test(head) && head.length < 65_536) continue;
      [text, head] = [head, ""];
      parser = createCsvParser(guessDelimiter(text.split(/[\r\n]/, 1)[0] ?? ""));
    }
    yield parser.push(text);
    ports.progress(bytesRead, tally);
  }
  const text = head + decode();
  parser ??= createCsvParser(guessDelimiter(text));
  yield parser.push(text);
  yield parser.end();
}
