/**
 * Waiting for a locked database without stopping the event loop.
 *
 * @module
 */

/**
 * How long to wait for another connection's transaction, in milliseconds. Whoever tries at the right moment gets the
 * lock, in no order: of ten that write all the time, one may be unlucky for many transactions.
 */
const PATIENCE_MS = 60_000;
const LONGEST_PAUSE_MS = 25;

/**
 * Runs a statement, again while the database is locked, for up to `patienceMs`. SQLite's own busy timeout sleeps inside
 * the call: two connections of one process would then wait for each other until it ran out.
 */
export async function whenUnlocked<T>(statement: () => T, patienceMs = PATIENCE_MS): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (let pause = 1;; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
    try {
      return statement();
    } catch (error) {
      if (!isLocked(error) || performance.now() >= deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

/** Whether SQLite refused because another connection holds a lock. */
export function isLocked(error: unknown): boolean {
  return error instanceof Error && /^database (?:table |schema )?is locked/.test(error.message);
}
