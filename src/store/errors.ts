/**
 * What callers see when the database refuses: one line with the action, the place and the cause, and no password.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Explanation } from "./database.ts";

/**
 * Runs something that uses the database and translates what it throws.
 *
 * @param action what is being done and where, for the message, e.g. `open sqlite:///rlcf.db`
 */
export async function attempt<T>(
  action: string,
  explain: (error: unknown) => Explanation | undefined,
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(action, explain, error);
  }
}

function translated(
  action: string,
  explain: (error: unknown) => Explanation | undefined,
  error: unknown,
): unknown {
  if (error instanceof RlcfError) return error;
  const explanation = explain(error);
  // Not the driver's doing: a defect of ours, shown as it is.
  if (explanation === undefined) return error;
  const { cause, hint } = explanation;
  // The driver's own error holds the connection's settings, and loggers print causes: only its name is kept.
  const code = typeof error === "object" && error !== null && "code" in error ? ` (${String(error.code)})` : "";
  return new RlcfError("database", `cannot ${action}: ${cause}`, {
    ...(hint === undefined ? {} : { hint }),
    cause: new Error(`${error instanceof Error ? error.name : "Error"}${code}`),
  });
}
