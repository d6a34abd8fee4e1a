/**
 * Live records are taken in groups. A transaction costs about as much for one record as for fifty, so a reader that
 * follows the end of the log waits a while after an answer that was small: at 1,000 readings a second that makes 35
 * transactions of them. A lone record is taken at once; the wait is the longest that a record is held up.
 */

/** Records whose values have fewer bytes are a small answer: a reader that catches up gets larger ones. */
export const SMALL_ANSWER_BYTES = 65_536;
/** From a small answer to the next, at the least. */
export const SMALL_EVERY_MS = 25;
