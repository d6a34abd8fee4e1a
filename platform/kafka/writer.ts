/**
 * Appending to Kafka: the link of a {@link LinkedWriter}. Sends are acknowledged by all in-sync replicas.
 *
 * *A producer is used for one failure only.* kafkajs numbers the records of an idempotent producer, and takes the
 * numbers back when a send fails. Whether that send was stored is unknown: if it was, the next batch of the same size
 * would carry the same numbers, and the broker would acknowledge it as a repetition without storing it. So after a
 * failure the link is thrown away with its producer and its numbers.
 *
 * *A connection that ends under a send is a failure at once.* kafkajs would keep the send, and everybody behind it, for
 * the 1.7 s of its retries; senders shall hear within 100 ms that the log is away. The administration has connections of
 * its own: the broker ends those when they are idle, which says nothing.
 */
import { type Admin, type Message, Partitioners, type Producer } from "kafkajs";
import { type Appended, LogUnavailable, type NewRecord } from "../../core/ports/log.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { RETRY_AFTER_MS } from "../deadline.ts";
import { bufferOf, KafkaClient, kafkaFailure, nameOf } from "./client.ts";
import { checkPartitions, partitionsOf, settleTopic, type TopicNeeds } from "./topic.ts";
import type { Link, LinkedLog } from "../linked_writer.ts";

export interface KafkaLinkOptions extends Omit<TopicNeeds, "mustExist"> {
  readonly clientId: string;
  readonly trace: Trace;
  /** Longest that the broker waits for its replicas. */
  readonly deadlineMs: number;
}

/** Records and bytes of one send. A partition's part of it is one batch, which has to fit `max.message.bytes`. */
const SEND_RECORDS_MAX = 2_000;
const SEND_BYTES_MAX = 1_000_000;

/** What a {@link LinkedWriter} needs to know of Kafka. */
export function kafkaWriterLog(options: KafkaLinkOptions): LinkedLog {
  return {
    name: nameOf(options),
    server: "Kafka",
    createLink: () => new KafkaLink(options),
    failure: (error, action) => kafkaFailure(error, action, options),
    sendRecordsMax: SEND_RECORDS_MAX,
    sendBytesMax: SEND_BYTES_MAX,
  };
}

class KafkaLink implements Link {
  readonly #options: KafkaLinkOptions;
  readonly #client: KafkaClient;
  readonly #adminClient: KafkaClient;
  readonly #admin: Admin;
  readonly #producer: Producer;

  constructor(options: KafkaLinkOptions) {
    this.#options = options;
    this.#client = new KafkaClient(options, options.clientId, options.trace);
    this.#adminClient = new KafkaClient(options, options.clientId, options.trace);
    this.#admin = this.#adminClient.kafka.admin({ retry: { retries: 1 } });
    this.#producer = this.#client.kafka.producer({
      idempotent: true,
      maxInFlightRequests: 1,
      allowAutoTopicCreation: false,
      createPartitioner: Partitioners.DefaultPartitioner,
    });
  }

  async connect(mustExist: boolean): Promise<void> {
    await this.#admin.connect();
    await settleTopic(this.#admin, { ...this.#options, mustExist });
    await this.#producer.connect();
  }

  async send(records: readonly NewRecord[]): Promise<readonly Appended[]> {
    const { topic, deadlineMs } = this.#options;
    const closed = Promise.withResolvers<never>();
    this.#client.onClosed = () => {
      const message = `can't append to ${nameOf(this.#options)}: the connection ended`;
      closed.reject(new LogUnavailable(message, RETRY_AFTER_MS));
    };
    try {
      const answers = await Promise.race([
        closed.promise,
        this.#producer.send({ topic, acks: -1, timeout: deadlineMs, messages: records.map(messageOf) }),
      ]);
      return placesOf(records, answers);
    } finally {
      this.#client.onClosed = null;
    }
  }

  async look(): Promise<void> {
    const count = await partitionsOf(this.#admin, this.#options.topic);
    if (count === null) throw new LogUnavailable(`${nameOf(this.#options)} is not there`, RETRY_AFTER_MS);
    checkPartitions(this.#options, count);
  }

  async goodbye(): Promise<void> {
    await Promise.all([this.#producer.disconnect(), this.#admin.disconnect()]);
  }

  cut(): void {
    this.#client.cut();
    this.#adminClient.cut();
  }
}

function messageOf({ partition, key, value, headers }: NewRecord): Message {
  return {
    partition,
    key,
    value: value === null ? null : bufferOf(value),
    headers: headers as Record<string, string>,
  };
}

interface SendAnswer {
  readonly partition: number;
  readonly baseOffset?: string;
  readonly logAppendTime?: string;
}

/** Offsets are dense within a partition of one send. */
function placesOf(records: readonly NewRecord[], answers: readonly SendAnswer[]): readonly Appended[] {
  const next = new Map<number, { offset: number; appendMs: number }>();
  for (const { partition, baseOffset, logAppendTime } of answers) {
    next.set(partition, { offset: Number(baseOffset), appendMs: Number(logAppendTime) });
  }
  return records.map(({ partition }) => {
    const place = next.get(partition);
    if (place === undefined || !(place.offset >= 0)) throw new Error(`no answer for partition ${partition}`);
    return { partition, offset: place.offset++, appendMs: place.appendMs };
  });
}
