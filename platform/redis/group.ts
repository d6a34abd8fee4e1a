/**
 * Who works on which partition: workers of one group say again and again that they are there, in a sorted set whose
 * scores are the times at which they count as gone, by Redis's clock. Partition p belongs to the (p mod n)th of the n
 * names in order, so that all who see the same members come to the same shares without talking.
 *
 * It only proposes: between a change and the next word of the others two may hold one partition. The owner record in the
 * log decides, as it does on Kafka.
 */

/** A partition's owner among `members`, which are in order and not empty. */
export function ownerOf(partition: number, members: readonly string[]): string | undefined {
  return members[partition % members.length];
}

/** Partitions of `worker`, in order. */
export function shareOf(worker: string, members: readonly string[], partitions: number): readonly number[] {
  return Array.from({ length: partitions }, (_, partition) => partition)
    .filter((partition) => ownerOf(partition, members) === worker);
}
