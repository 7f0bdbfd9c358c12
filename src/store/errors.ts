/**
 * What callers see when the database refuses: a new attempt where the cause passes by itself, else one line with the
 * action, the place and the cause, and no password.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { RlcfError } from "../base/errors.ts";
import type { Database, Explanation } from "./database.ts";

/** How long something that fails is tried again. */
export interface Patience {
  /** No new attempt later than so many milliseconds after the first one began. */
  readonly ms: number;
  /** Whether the server has answered this store before. */
  readonly reached: boolean;
}

/** For what must not run twice. */
const NONE: Patience = { ms: 0, reached: false };
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 3000;

/** What stands in for the driver's error where no answer came. */
class NoAnswer extends Error {}

/**
 * Whether the database may have done what it was asked for although it failed, or may still do it: the connection was
 * lost, or its answer took too long, in this attempt or in one before it.
 */
export function mayBeDone(thrown: unknown): boolean {
  return thrown instanceof RlcfError && thrown.cause instanceof NoAnswer;
}

/**
 * Runs something that uses the database, translates what it throws, and runs it again while the cause is one that passes
 * and the patience lasts.
 *
 * A new attempt is safe where the work is one transaction, or one statement, and has no other effect: of a transaction
 * that met a deadlock or lost its connection nothing is left, unless it was lost during `commit`. Then nobody knows; so
 * work that writes must also be harmless when it was done already, by keys that are chosen before the first attempt.
 *
 * @param action what is being done and where, for the message, e.g. `open sqlite:///rlcf.db`
 * @param work gets true from the second attempt on
 * @param patience none by default
 */
export async function attempt<T>(
  action: string,
  database: Pick<Database, "explain" | "adviseOn">,
  work: (again: boolean) => Promise<T>,
  patience: Patience = NONE,
): Promise<T> {
  const started = performance.now();
  let isUnsure = false;
  for (let tries = 1;; tries++) {
    try {
      return await work(tries > 1);
    } catch (error) {
      if (error instanceof RlcfError) throw error;
      const explanation = database.explain(error);
      // Not the driver's doing: a defect of ours, shown as it is.
      if (explanation === undefined) throw error;
      isUnsure ||= explanation.mayBeDone === true;
      // Not all at the same time, where many lost the server at once.
      const pause = Math.min(FIRST_PAUSE_MS * 2 ** (tries - 1), LONGEST_PAUSE_MS) * (0.5 + Math.random() / 2);
      const elapsed = performance.now() - started;
      if (!passes(explanation, patience) || elapsed + pause > patience.ms) {
        const advice = await database.adviseOn?.(error);
        const advised = { ...explanation, ...(advice === undefined ? {} : { hint: advice }), mayBeDone: isUnsure };
        throw translated(action, withTries(advised, tries, elapsed), error);
      }
      getLogger(["rlcf", "store"]).warn("could not {action}: {cause}; trying again", {
        action,
        cause: explanation.cause,
      });
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function passes(explanation: Explanation, { reached }: Patience): boolean {
  return explanation.passes === "always" || (explanation.passes === "once_reached" && reached);
}

function withTries(explanation: Explanation, tries: number, elapsedMs: number): Explanation {
  if (tries === 1) return explanation;
  return { ...explanation, cause: `${explanation.cause}, tried ${tries} times in ${(elapsedMs / 1000).toFixed(1)} s` };
}

function translated(action: string, { cause, hint, mayBeDone }: Explanation, error: unknown): RlcfError {
  // The driver's own error holds the connection's settings, and loggers print causes: only its name is kept.
  const code = typeof error === "object" && error !== null && "code" in error ? ` (${String(error.code)})` : "";
  return new RlcfError("database", `cannot ${action}: ${cause}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: new (mayBeDone === true ? NoAnswer : Error)(`${error instanceof Error ? error.name : "Error"}${code}`),
  });
}
