/**
 * Counts of rows that contradict each other, and the one contradiction that can be mended without losing anything.
 *
 * @module
 */
import { type ExpressionBuilder, type ExpressionWrapper, type SqlBool } from "kysely";
import type { Database } from "./database.ts";
import type { Flag, Tables } from "./tables.ts";

/** Rows that refer to rows that are not there. */
export interface StrayRows {
  /** Feedback for a trace that is not stored. */
  readonly feedback: number;
  /** Checkpoints of a session that is not stored. */
  readonly checkpoints: number;
}

/** Traces whose `has_feedback` is not what `rlcf_feedback` says. */
export interface WrongFlags {
  /** Traces with feedback that count as waiting for it. */
  readonly unmarked: number;
  /** Traces that count as judged, without feedback. */
  readonly marked: number;
}

/** Rows with a date in the future. */
export interface FutureRows {
  /** Traces. */
  readonly traces: number;
  /** Feedback. */
  readonly feedback: number;
  /** The latest date, ISO 8601 in UTC; null without any. */
  readonly latest: string | null;
}

/** See StoreInspection.countStrays. */
export async function countStrays({ db }: Database): Promise<StrayRows> {
  const feedback = await db.selectFrom("rlcf_feedback").select(({ fn }) => fn.countAll().as("n"))
    .where(({ not, exists, selectFrom }) =>
      not(exists(
        selectFrom("rlcf_traces").select("rlcf_traces.id").whereRef("rlcf_traces.id", "=", "rlcf_feedback.trace_id"),
      ))
    ).executeTakeFirstOrThrow();
  const checkpoints = await db.selectFrom("policy_checkpoints").select(({ fn }) => fn.countAll().as("n"))
    .where("training_session_id", "is not", null)
    .where(({ not, exists, selectFrom }) =>
      not(exists(
        selectFrom("training_sessions").select("training_sessions.id")
          .whereRef("training_sessions.id", "=", "policy_checkpoints.training_session_id"),
      ))
    ).executeTakeFirstOrThrow();
  return { feedback: Number(feedback.n), checkpoints: Number(checkpoints.n) };
}

/** See StoreInspection.listDoubleActives. */
export async function doubleActives({ db }: Database): Promise<string[]> {
  const rows = await db.selectFrom("policy_checkpoints").select("policy_type").where("is_active", "=", 1)
    .groupBy("policy_type").having(({ fn }) => fn.countAll(), ">", 1).orderBy("policy_type").execute();
  return rows.map((row) => row.policy_type);
}

/** See StoreInspection.countWrongFlags. */
export async function countWrongFlags({ db }: Database): Promise<WrongFlags> {
  const countOf = async (flag: Flag): Promise<number> => {
    const { n } = await db.selectFrom("rlcf_traces").select(({ fn }) => fn.countAll().as("n"))
      .where("has_feedback", "=", flag).where((eb) => contradicts(eb, flag)).executeTakeFirstOrThrow();
    return Number(n);
  };
  return { unmarked: await countOf(0), marked: await countOf(1) };
}

/** See StoreInspection.mendFlags. */
export async function mendFlags({ db }: Database): Promise<number> {
  return await db.transaction().execute(async (transaction) => {
    let changed = 0;
    for (const flag of [0, 1] as const) {
      const { numUpdatedRows } = await transaction.updateTable("rlcf_traces").set({ has_feedback: flag === 0 ? 1 : 0 })
        .where("has_feedback", "=", flag)
        .where((eb) => contradicts(eb as unknown as ExpressionBuilder<Tables, "rlcf_traces">, flag))
        .executeTakeFirstOrThrow();
      changed += Number(numUpdatedRows);
    }
    return changed;
  });
}

/** See StoreInspection.countFuture. */
export async function countFuture({ db, now }: Database, toleranceSeconds: number): Promise<FutureRows> {
  const found = await Promise.all((["rlcf_traces", "rlcf_feedback"] as const).map(async (table) => {
    const row = await db.selectFrom(table)
      .select(({ fn }) => [fn.countAll().as("n"), fn.max("created_at").as("latest")])
      .where("created_at", ">", now(toleranceSeconds)).executeTakeFirstOrThrow();
    return { count: Number(row.n), latest: row.latest as string | null };
  }));
  const latest = found.map((one) => one.latest).filter((one) => one !== null).sort().at(-1) ?? null;
  return { traces: found[0]!.count, feedback: found[1]!.count, latest };
}

/** Whether a trace that is flagged so has feedback, or has none. */
function contradicts(
  { not, exists, selectFrom }: ExpressionBuilder<Tables, "rlcf_traces">,
  flag: Flag,
): ExpressionWrapper<Tables, "rlcf_traces", SqlBool> {
  const judged = exists(
    selectFrom("rlcf_feedback").select("rlcf_feedback.id").whereRef("rlcf_feedback.trace_id", "=", "rlcf_traces.id"),
  );
  return flag === 0 ? judged : not(judged);
}
