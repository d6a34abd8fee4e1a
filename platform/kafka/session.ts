/**
 * Membership in a consumer group by kafkajs, which only proposes owners: it keeps the group and never fetches. Every
 * partition is paused from the moment it is given to us (synchronously in `GROUP_JOIN`) for as long as we have it.
 */
import type { Admin, Consumer } from "kafkajs";
import type { Clock } from "../../core/ports/clock.ts";
import type { Trace } from "../../core/ports/trace.ts";
import { type KafkaClient, kafkaRetry } from "./client.ts";
import { dismissFormer, membersOf } from "./group.ts";
import { settleTopic, type TopicNeeds } from "./topic.ts";

/** The longest that kafkajs's loop, which has nothing to fetch, sleeps between heartbeats. */
const PAUSED_WAIT_MS = 100;
const REBALANCE_MS = 20_000;
/** So long it takes a member at the most to hear that the group is being shared out anew. */
const HEARTBEAT_MS = 250;
/** Metadata is refreshed so often: finds partitions that were added. */
const METADATA_MS = 10_000;

export interface MemberOptions extends Omit<TopicNeeds, "mustExist"> {
  readonly clientId: string;
  /** `clientId` is that of one living process at most, so that members who have it when this one joins are dead. */
  readonly isSoleMember: boolean;
  readonly groupId: string;
  readonly clock: Clock;
  readonly trace: Trace;
}

export interface Session {
  readonly client: KafkaClient;
  readonly admin: Admin;
  readonly consumer: Consumer;
  /** Resolves with the reason when the consumer has ended. */
  readonly ended: Promise<unknown>;
}

export interface Joining {
  readonly client: KafkaClient;
  /** How long the group waits for a member that went silent. */
  readonly sessionMs: number;
  /** The topic is not made when it isn't there. */
  readonly mustExist: boolean;
  /** Ends what goes on behind a session. */
  readonly signal: AbortSignal;
  /** Called at each assignment, synchronously: our partitions from now on. They are paused already. */
  joined(session: Session, partitions: readonly number[]): void;
}

/** Connects and begins to join; {@link Joining.joined} tells when that is done. Rejects with kafkajs's errors. */
export async function openSession(options: MemberOptions, joining: Joining): Promise<Session> {
  const { topic, groupId, clientId, clock, trace } = options;
  const { client, sessionMs, signal } = joining;
  const { promise: ended, resolve: end } = Promise.withResolvers<unknown>();
  const admin = client.kafka.admin({ retry: { retries: 1 } });
  await admin.connect();
  await settleTopic(admin, { ...options, mustExist: joining.mustExist });
  const consumer = client.kafka.consumer({
    groupId,
    sessionTimeout: sessionMs,
    heartbeatInterval: Math.min(HEARTBEAT_MS, Math.floor(sessionMs / 5)),
    rebalanceTimeout: REBALANCE_MS,
    maxWaitTimeInMs: PAUSED_WAIT_MS,
    metadataMaxAge: METADATA_MS,
    allowAutoTopicCreation: false,
    retry: { ...kafkaRetry, restartOnFailure: () => Promise.resolve(false) },
  });
  consumer.on(consumer.events.CRASH, ({ payload }) => end(payload.error));
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const partitions = payload.memberAssignment[topic] ?? [];
    if (signal.aborted) return;
    consumer.pause([{ topic, partitions: [...partitions] }]);
    joining.joined(session, partitions);
  });
  const former = options.isSoleMember ? await membersOf(admin, { groupId, clientId }) : [];
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const session: Session = { client, admin, consumer, ended };
  const running = consumer.run({ autoCommit: false, eachBatch: () => Promise.resolve() });
  running.catch(end);
  dismissFormer({ client, admin, clock, trace, signal }, { groupId, clientId }, former).catch((error) => {
    trace.emit("warn", "log.former_stays", { message: String(error) });
  });
  return session;
}

/** Whether the broker takes no session as short as the one that was asked for. */
export const isSessionRefused = (error: unknown) =>
  error instanceof Error &&
  [error, error.cause].some((each) =>
    (each as { type?: unknown } | undefined)?.type === "INVALID_SESSION_TIMEOUT"
  );
