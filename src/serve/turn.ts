/**
 * Letting requests that have arrived be read before work begins that holds everything up.
 *
 * @module
 */
import { setImmediate } from "node:timers";

/** Most turns that are waited. */
const MOST_TURNS = 8;

/**
 * Waits, a turn of the event loop at a time, as long as each turn brings more: SQLite and the engines on the CPU compute
 * without a pause, so that what came together would otherwise be done one by one. Without other requests it costs some
 * microseconds.
 *
 * @param waiting how much there is to do
 */
export async function gathered(waiting: () => number): Promise<void> {
  for (let turn = 0, before = -1; turn < MOST_TURNS && waiting() > before; turn++) {
    before = waiting();
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}
