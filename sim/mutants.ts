/**
 * Planted bugs: small mutations of production code that the harness has to see. Each names the mistake that it stands
 * for, most of them made by somebody before us, and the family of runs that aims at it.
 *
 * `fold`: generated logs through the fold against the oracle. `world`: the pipeline with every fault, rows in memory.
 * `group`: the pipeline while workers take partitions from each other. `files`: the pipeline on real DuckDB files. `board`: the firmware in the pipeline, with every fault.
 */
export interface Mutant {
  readonly name: string;
  readonly file: string;
  /** Occurs exactly once in the file. */
  readonly from: string;
  readonly to: string;
  readonly family: "fold" | "world" | "group" | "files" | "board";
  readonly mistake: string;
}

const mutant = (
  family: Mutant["family"],
  name: string,
  file: string,
  from: string,
  to: string,
  mistake: string,
): Mutant => ({ family, name, file, from, to, mistake });

const fold = (name: string, file: string, from: string, to: string, mistake: string) =>
  mutant("fold", name, `core/${file}.ts`, from, to, mistake);
const world = (name: string, file: string, from: string, to: string, mistake: string) =>
  mutant("world", name, `${file}.ts`, from, to, mistake);
const files = (name: string, file: string, from: string, to: string, mistake: string) =>
  mutant("files", name, `platform/${file}.ts`, from, to, mistake);
const board = (name: string, file: string, from: string, to: string, mistake: string) =>
  mutant("board", name, `firmware/${file}.py`, from, to, mistake);

export const mutants: readonly Mutant[] = [
  // Time and judging.
  fold(
    "future_moves_watermark",
    "judge",
    "eventMs > appendMs + config.futureMs",
    "eventMs > appendMs + 400 * 86_400_000",
    "a stamp from the future makes everything late (sql-flow#358)",
  ),
  fold(
    "future_bound_off_by_one",
    "judge",
    "eventMs > appendMs + config.futureMs",
    "eventMs >= appendMs + config.futureMs",
    "a bound at its edge",
  ),
  fold(
    "dated_1970_counts",
    "judge",
    "eventMs < limits.eventMsMin",
    "eventMs < 0",
    "readings dated 1970 (ruuvi.gateway_esp.c#120)",
  ),
  fold(
    "range_edge_excluded",
    "judge",
    "temperature > limits.temperatureMilliCMax",
    "temperature >= limits.temperatureMilliCMax",
    "a bound at its edge",
  ),
  fold(
    "humidity_unchecked",
    "judge",
    "humidity > limits.humidityMilliPctMax",
    "humidity > 10 * limits.humidityMilliPctMax",
    "255 % is data (sensors-software#848)",
  ),
  fold(
    "no_time_takes_append_time",
    "judge",
    "batchLength === 1 ? appendMs : null",
    "appendMs",
    "wall clock as event time (sql-flow#234)",
  ),
  fold(
    "watermark_goes_back",
    "watermark",
    "toMs > watermarkMs ? toMs : watermarkMs",
    "toMs !== watermarkMs ? toMs : watermarkMs",
    "a watermark that reverses (bytewax's test names)",
  ),
  fold(
    "pending_ignored",
    "watermark",
    "Math.min(device.highestEventMs, pendingMs)",
    "device.highestEventMs",
    "a backlog is late (thingsboard#15685)",
  ),
  fold(
    "pending_unbounded",
    "watermark",
    "Math.max(device.pendingSinceMs, oldestMs)",
    "device.pendingSinceMs",
    "a window that never closes (ksql#9840)",
  ),
  fold(
    "no_out_of_order_bound",
    "watermark",
    "Math.min(device.highestEventMs, pendingMs) - config.outOfOrderMs",
    "Math.min(device.highestEventMs, pendingMs)",
    "disorder is lateness",
  ),
  fold(
    "unsynced_never_closes",
    "watermark",
    "return synced ? watermarkMs :",
    "return synced || true ? watermarkMs :",
    "a clock that is never set holds windows open",
  ),
  fold(
    "unsynced_moves_watermark",
    "reading_fold",
    "if (at.released || row.timeUncertain) return;",
    "if (at.released) return;",
    "an estimate taken for a clock",
  ),
  fold(
    "released_moves_watermark",
    "reading_fold",
    "if (at.released || row.timeUncertain) return;",
    "if (row.timeUncertain) return;",
    "re-drive that isn't idempotent (KIP-1034)",
  ),
  // Windows.
  fold(
    "window_end_inclusive",
    "windows",
    "Math.floor(eventMs / spec.hopMs) * spec.hopMs",
    "Math.floor((eventMs - 1) / spec.hopMs) * spec.hopMs",
    "an event at the end belongs to two windows or none",
  ),
  fold(
    "hopping_misses_first",
    "windows",
    "startMs + spec.sizeMs > eventMs;",
    "startMs + spec.sizeMs > eventMs + spec.hopMs;",
    "sliding windows with holes (risingwave#20834)",
  ),
  fold(
    "local_day_is_24_h",
    "windows",
    "endMs: startOfLocalDay(zone, day + 1)",
    "endMs: startOfLocalDay(zone, day) + DAY_MS",
    "days of 24 h on the day of summer time",
  ),
  fold(
    "closes_one_ms_early",
    "device",
    "device.watermarkMs !== null && endMs <= device.watermarkMs",
    "device.watermarkMs !== null && endMs <= device.watermarkMs + 1",
    "a bound at its edge",
  ),
  fold(
    "silence_closes_early",
    "device_windows",
    "if (window.endMs > silentMs) continue;",
    "if (window.endMs > silentMs + 60_000) continue;",
    "idleness misfires (FLINK-35886)",
  ),
  fold(
    "silence_never_closes",
    "device_windows",
    "if (device.lastAppendMs > silentMs) return;",
    "return;",
    "the last window never closes (quix-streams#790)",
  ),
  fold(
    "ticks_count_as_life",
    "partition",
    "    this.#foldAt(prepared, at);\n    this.#windows",
    "    this.#foldAt(prepared, at);\n    if (prepared.batchOf[at]! < 0 && prepared.decodedAt(at).kind === 'tick') for (const each of this.#devices.values()) each.lastAppendMs = appendMs;\n    this.#windows",
    "other records hold a silent device's windows open",
  ),
  fold(
    "late_replaces_row",
    "device_windows",
    "if (row !== undefined) window.setRow(row);",
    "if (row !== undefined) window.setRow({ ...row, readings: 0, late: 0 });",
    "re-emitting only the late rows replaces the count (sql-flow#288)",
  ),
  fold(
    "late_rows_dropped",
    "device_windows",
    "    closed.add(row);\n",
    "",
    "late rows dropped unseen (risingwave#23270)",
  ),
  fold(
    "revision_per_reading",
    "device_windows",
    "if (closed.revision === 0 || closed.changedOffset !== row.offset) closed.revision++;",
    "closed.revision++;",
    "rows depend on batches (spark#48570)",
  ),
  fold(
    "revision_not_counted",
    "device_windows",
    "if (closed.revision === 0 || closed.changedOffset !== row.offset) closed.revision++;",
    "",
    "a final result changes without a number (quix-streams#591)",
  ),
  fold(
    "late_by_finest_only",
    "device_windows",
    "return isPassed(device, window.endMs) || device.ahead[spec]!.has(window.startMs);",
    "return isPassed(device, window.endMs);",
    "silence forgotten when lateness is judged",
  ),
  fold(
    "percentiles_of_half",
    "device_windows",
    "      closed.hasAllValues = false;\n",
    "",
    "percentiles of what happens to be kept",
  ),
  fold(
    "values_not_remembered",
    "device_windows",
    "if (row.tsMs >= window.startMs && row.tsMs < window.endMs) window.remember(row);",
    "",
    "a revision that doesn't recompute the whole window",
  ),
  // Numbers.
  fold("half_to_even", "decimal", "charCodeAt(kept) >= 0x35", "charCodeAt(kept) > 0x35", "a half goes down"),
  fold(
    "last_by_arrival",
    "accumulator",
    "if (!isBefore(cells, at + LAST_PLACE, tsMs, boot, seq, offset, index)) {",
    "if (this.count > 0) {",
    "the latest row isn't the newest (thingsboard#1769)",
  ),
  fold(
    "percentile_off_by_one",
    "counted_values",
    "Math.ceil((percent * length) / 100) - 1",
    "Math.floor((percent * length) / 100)",
    "nearest rank, one too high",
  ),
  fold(
    "faults_are_readings",
    "accumulator",
    "if (reading.fault !== null) this.sensorFaults++;\n    else this.readings++;",
    "this.readings++;",
    "a gap drawn as a value (grafana#2125)",
  ),
  // Identity and ledger.
  fold(
    "duplicates_count",
    "identity",
    "boot.slots.stateOf(seq) !== slotStates.final) return AS_IT_IS;",
    "boot.slots.stateOf(seq) !== slotStates.final || seq % 7 === 3) return AS_IT_IS;",
    "a retried POST doubles (kafka-rest#980)",
  ),
  fold(
    "duplicates_by_time",
    "identity",
    "row.boot === boot.boot && row.seq === seq",
    "row.tsMs === tsMs",
    "same timestamp, different reading (thingsboard#5714)",
  ),
  fold(
    "conflict_overwrites",
    "identity",
    'return sameContent(twin, reading) ? { kind: "duplicate" } : CONFLICT;',
    'return { kind: "duplicate" };',
    "the second content is lost without a word",
  ),
  fold(
    "dedup_within_watermark",
    "identity",
    "    const kept = this.#keptAt(device, tsMs, appendMs).filter(",
    "    if (device.watermarkMs !== null && tsMs < device.watermarkMs) return AS_IT_IS;\n    const kept = this.#keptAt(device, tsMs, appendMs).filter(",
    "duplicates only removed within the watermark (Spark)",
  ),
  fold(
    "channels_summed_twice",
    "identity",
    "        rest[channel] = null;\n",
    "",
    "int and float twins summed (thingsboard#12160)",
  ),
  fold(
    "boot_ignored",
    "reading_fold",
    "boot: at.boot?.boot ?? null,\n      seq: reading.seq,",
    "boot: null,\n      seq: reading.seq,",
    "a second board with the same name is a duplicate",
  ),
  fold(
    "lost_beats_quarantine",
    "ledger",
    "if (span !== undefined && span.from <= slot) {\n        slot = span.to + 1;\n        continue;",
    "if (span !== undefined && span.from <= slot && span.state > 2) {\n        slot = span.to + 1;\n        continue;",
    "a slot's state goes down",
  ),
  fold(
    "known_slots_forgotten",
    "ledger",
    "if (slot >= this.known) this.known = slot + 1;",
    "",
    "the sums don't balance (thingsboard#8215)",
  ),
  fold(
    "previous_ignored",
    "batch_fold",
    "previous.known = Math.max(previous.known, told.slots)",
    "previous.known = previous.known",
    "a missing tail is unknown",
  ),
  fold(
    "quarantine_resent_twice",
    "quarantine",
    "row.raw === like.raw && isKept(",
    "row.raw !== like.raw && isKept(",
    "re-drive that isn't idempotent",
  ),
  fold(
    "wrong_partition_counts",
    "decoded_record",
    "return isOurs(batch.device) ?",
    "return isOurs(batch.device) || true ?",
    "one device in two partitions",
  ),
  fold(
    "kept_a_day_short",
    "retention",
    "(Math.floor(appendMs / DAY_MS) + 1) * DAY_MS + retentionMs > nowMs",
    "Math.floor(appendMs / DAY_MS) * DAY_MS + retentionMs > nowMs",
    "retention off by a day",
  ),
  fold(
    "append_time_not_monotone",
    "prepared",
    "appendMs = Math.max(appendMs, record.appendMs);",
    "appendMs = record.appendMs;",
    "an append clock that was set back",
  ),
  fold(
    "murmur_sign",
    "murmur2",
    "(murmur2(encoder.encode(device)) & 0x7fffffff) % partitions",
    "murmur2(encoder.encode(device)) % partitions",
    "keys partitioned unlike Kafka's own clients",
  ),
  // Around the fold.
  world(
    "acknowledged_before_durable",
    "ingest/dispatcher",
    "    log.append(next.records).then(\n",
    '    next.resolve({ kind: "appended", appended: next.records.map(({ partition }) => ({ partition, offset: 0, appendMs: 0 })) });\n    log.append(next.records).then(\n',
    "200 for events that failed (vector#20990)",
  ),
  world(
    "refusal_is_success",
    "ingest/dispatcher",
    "next.resolve(this.#logDown(error.retryAfterMs));\n          if",
    'next.resolve({ kind: "appended", appended: next.records.map(({ partition }) => ({ partition, offset: 0, appendMs: 0 })) });\n          if',
    "200 with the error in the body (kafka-rest#387)",
  ),
  world(
    "position_before_rows",
    "aggregator/partition_worker",
    "await this.#store!.commit(changes);",
    "await this.#store!.commit({ ...changes, readings: [...changes.readings].slice(1) });",
    "commit before flush (sql-flow#158)",
  ),
  world(
    "no_tick",
    "aggregator/partition_worker",
    "if (this.config.replay) return;\n    const dueMs",
    "if (this.config.replay || this.partition >= 0) return;\n    const dueMs",
    "window timers lost: no new input, no close (bytewax#138)",
  ),
  world(
    "credit_of_nothing",
    "ingest/dispatcher",
    "return this.#credit.for(Math.max(underWay, this.#senders.count(this.#ports.clock.monotonicMs())));",
    "return 0;",
    "asked to wait for ever",
  ),
  world(
    "retry_gives_up",
    "aggregator/partition_worker",
    "if (!(error instanceof LogUnavailable || error instanceof StoreUnavailable)) throw error;",
    "throw error;",
    "an outage of the log ends the service",
  ),
  world(
    "takes_part_of_a_body",
    "ingest/intake",
    "this.#record(device, value, RECORD_HEADERS)",
    "this.#record(device, value.slice(0, 4_000), RECORD_HEADERS)",
    "a part of the body is acknowledged",
  ),
  mutant(
    "group",
    "superseded_for_good",
    "aggregator/holding.ts",
    'if (this.#worker.status().state !== "superseded" || this.#leaving !== null) break;',
    'if (this.#worker.status().state !== "running" || this.#leaving !== null) break;',
    "nobody works on the partition",
  ),
  world(
    "publishes_before_a_transaction",
    "aggregator/partition_worker",
    "this.#isPublished = stored.position === null;",
    "this.#isPublished = false;",
    "a worker released before its first transaction publishes nothing that there is",
  ),
  world(
    "alerts_forget_what_fires",
    "core/alert_fold",
    "const states = new Map(stored.states.map(({ device, state }) => [device, state]));",
    "const states = new Map<string, string>();",
    "after a restart every alert fires again",
  ),
  world(
    "alert_lost_with_its_worker",
    "aggregator/alert_desk",
    "held.set(partition, { rows: remembered(newest), kept: null })",
    "held.set(partition, { rows: [], kept: null })",
    "an alert that was decided right before a crash is told to nobody",
  ),
  // On the disk.
  files(
    "instance_given_up_for_good",
    "duckdb/live",
    "for (const side of this.#sides) await side.release();",
    "",
    "after an fsync that failed nothing is published until a restart",
  ),
  files(
    "commit_in_doubt_repeated",
    "duckdb/store",
    "if (this.#doubtful !== null && await this.#hasHappened(this.#doubtful)) return;",
    "",
    "a transaction whose answer was lost is made twice",
  ),
  files(
    "retired_before_published",
    "duckdb/publisher",
    "attempt.record = record;",
    "",
    "a publication whose catalogue failed is given up although its record stands",
  ),
  // On the board.
  board(
    "freed_by_any_answer",
    "uploader",
    "if 200 <= status < 300:",
    "if 200 <= status < 600:",
    "a 503 frees flash",
  ),
  board(
    "slot_not_flushed",
    "flash_ring",
    "        self._file.write(self._record)\n        self._file.flush()",
    "        self._file.write(self._record)",
    "a power cut takes what was said to be stored",
  ),
  board("short_boot_numbers", "main", "[0] >> 11", "[0] >> 62", "a new boot is taken for an old one"),
  board(
    "frees_one_too_many",
    "backlog",
    "self.pending.remove(selection.start, selection.end)",
    "self.pending.remove(selection.start, selection.end + 1)",
    "a bound at its edge frees a slot that nobody has",
  ),
  board("checksum_unchecked", "dht22", "& 255 != frame[4]", "& 0 != 0", "a disturbed frame is data"),
  board("humidity_low_byte", "dht22", "frame[0] << 8 | frame[1]", "frame[1]", "16 bits read as 8"),
  board(
    "anchors_not_kept",
    "backlog",
    "        self._write(uptime_ms, lambda: self._ring.append_anchor(offset_ms, SYNCED))\n",
    "",
    "after a restart the same slot has another time",
  ),
];
