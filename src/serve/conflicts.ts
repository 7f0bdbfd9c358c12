/**
 * Whether a record whose key is taken is the same record sent again, or another one.
 *
 * @module
 */
import type { RLCFPersistence, StoreEntry } from "../store/persistence.ts";
import { HttpError } from "./errors.ts";

/** When something was recorded: it differs from one attempt to the next where the client left it out. */
const TIMES: readonly string[] = ["timestamp", "created_at"];

/**
 * Throws 409 if what is stored under the key of an entry is something else. For entries whose key the client chose: keys
 * that were made from the content cannot meet by chance.
 */
export async function checkSame(
  store: Pick<RLCFPersistence, "getTrace" | "getFeedbackForTrace">,
  entry: StoreEntry,
): Promise<void> {
  if (entry.kind === "trace") {
    const stored = await store.getTrace(entry.context.id);
    if (stored !== null && !isSameJson(stored.toJSON(), entry.trace.toJSON())) {
      throw new HttpError(409, "id_taken", "another trace is stored under this trace_id; nothing was changed", {
        field: "trace_id",
      });
    }
    return;
  }
  const stored = await store.getFeedbackForTrace(entry.traceId);
  const isThere = stored.some((feedback) => {
    const sent = entry.feedbackOn(feedback.queryId);
    return isSameJson(feedback.toJSON(), { ...sent.toJSON(), user_id: entry.context.userId ?? sent.userId });
  });
  if (!isThere) {
    throw new HttpError(409, "id_taken", "another feedback is stored under this feedback_id; nothing was changed", {
      field: "feedback_id",
    });
  }
}

/** Whether two JSON values say the same; numbers are compared as float32, since that is how embeddings are stored. */
export function isSameJson(a: unknown, b: unknown): boolean {
  if (typeof a === "number" && typeof b === "number") return a === b || Math.fround(a) === Math.fround(b);
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [fieldsA, fieldsB] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  for (const name of TIMES) {
    fieldsA.delete(name);
    fieldsB.delete(name);
  }
  if (fieldsA.size !== fieldsB.size) return false;
  return [...fieldsA].every(([name, value]) => fieldsB.has(name) && isSameJson(value, fieldsB.get(name)));
}
