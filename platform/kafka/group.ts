/**
 * A consumer group doesn't wait for the dead.
 *
 * A process that was killed stays a member of its group until its session time-out, and a member that joins waits so long
 * for it: 10 s instead of the 0.3 s that joining takes. Kafka's static membership would let a restarted member take its
 * own seat; kafkajs 2.2.4 doesn't offer it. So a worker with a name of its own puts the name into its client id, and when
 * it joins, it leaves the group in the name of the members that had this client id before: they were itself.
 *
 * The order matters: the dead leave once the new member is seen to be joining. A group that is empty for a moment would
 * wait `group.initial.rebalance.delay.ms` (3 s by default) for others to come.
 *
 * What is known in another way to be dead (`worker_presence.ts`) is dismissed by any member that lives.
 *
 * Two living workers of one name would take each other for dead, once at each start: the one that was put out joins again
 * and both work. Owner records decide whose rows count in any case.
 */
import type { Admin } from "kafkajs";
import Cluster from "kafkajs/src/cluster/index.js";
import Logger from "kafkajs/src/loggers/index.js";
import type { Clock } from "../../core/ports/clock.ts";
import type { Trace } from "../../core/ports/trace.ts";
import type { KafkaClient } from "./client.ts";

/** How often the group is asked whether the new member is there, and how long at the most. */
const ASK_EVERY_MS = 30;
const ASK_MS_MAX = 3_000;

/** The part of kafkajs's cluster that its clients don't offer. */
interface GroupCluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(group: { readonly groupId: string }): Promise<{
    leaveGroup(member: { readonly groupId: string; readonly memberId: string }): Promise<unknown>;
  }>;
}

/** The client id of a worker that has a name. */
export const clientIdOf = (worker: string) => `isotherm-reader-${worker}`;

export interface GroupSeat {
  readonly groupId: string;
  /** Nobody else's who is alive. */
  readonly clientId: string;
}

/** Ids of the group's members that have this client id. */
export async function membersOf(admin: Admin, { groupId, clientId }: GroupSeat): Promise<readonly string[]> {
  const { groups } = await admin.describeGroups([groupId]);
  const members = groups[0]?.members ?? [];
  return members.filter((member) => member.clientId === clientId).map(({ memberId }) => memberId);
}

/**
 * Leaves the group for `former`, which {@link membersOf} gave before the new member began to join, as soon as that one is
 * there. Rejects when Kafka doesn't do as it is asked: then the group waits for its session time-out, as it always did.
 */
export async function dismissFormer(
  { client, admin, clock, trace, signal }: {
    readonly client: KafkaClient;
    readonly admin: Admin;
    readonly clock: Clock;
    readonly trace: Trace;
    readonly signal: AbortSignal;
  },
  seat: GroupSeat,
  former: readonly string[],
): Promise<void> {
  if (former.length === 0) return;
  for (const deadlineMs = clock.monotonicMs() + ASK_MS_MAX;;) {
    const isThere = (await membersOf(admin, seat)).some((memberId) => !former.includes(memberId));
    if (isThere || clock.monotonicMs() > deadlineMs) break;
    await clock.sleep(ASK_EVERY_MS, signal);
    if (signal.aborted) return;
  }
  await leaveFor(client, seat.groupId, former);
  trace.emit("info", "log.former_dismissed", { members: former.length });
}

/** Leaves the group in the name of these members, who are dead. Rejects when Kafka doesn't do as it is asked. */
export async function leaveFor(
  client: KafkaClient,
  groupId: string,
  memberIds: readonly string[],
): Promise<void> {
  const cluster: GroupCluster = new Cluster({
    ...client.options,
    logger: Logger.createLogger({ level: client.options.logLevel, logCreator: client.options.logCreator }),
  });
  await cluster.connect();
  try {
    const coordinator = await cluster.findGroupCoordinator({ groupId });
    for (const memberId of memberIds) await coordinator.leaveGroup({ groupId, memberId });
  } finally {
    await cluster.disconnect().catch(() => {});
  }
}
