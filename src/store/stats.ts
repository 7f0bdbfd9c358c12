/**
 * Counts over the stored traces and feedback.
 *
 * @module
 */
import type { Database } from "./database.ts";
import type { FeedbackSpan, TrainingStats } from "./records.ts";

/** The first and the last feedback; see RLCFPersistence.getFeedbackSpan. */
export async function getFeedbackSpan({ db }: Database, policyVersion?: string): Promise<FeedbackSpan | null> {
  // Each end by a walk of one step along the index, where min and max in one query would read all of it.
  const end = (order: "asc" | "desc"): Promise<{ created_at: string } | undefined> =>
    db.selectFrom("rlcf_feedback as f").select("f.created_at")
      .$if(policyVersion !== undefined, (query) =>
        query.where(({ exists, selectFrom }) =>
          exists(
            selectFrom("rlcf_traces as t").select("t.id").whereRef("t.id", "=", "f.trace_id")
              .where("t.policy_version", "=", policyVersion!),
          )
        ))
      .orderBy("f.created_at", order).limit(1).executeTakeFirst();
  const [oldest, newest] = [await end("asc"), await end("desc")];
  return oldest === undefined || newest === undefined ? null : { oldest: oldest.created_at, newest: newest.created_at };
}

/** Counts, filtered by version everywhere if one is given; see RLCFPersistence.getTrainingStats. */
export async function getTrainingStats({ db }: Database, policyVersion?: string): Promise<TrainingStats> {
  const groups = await db.selectFrom("rlcf_traces")
    .select((eb) => ["log_kind", "has_feedback", eb.fn.countAll<number>().as("n")])
    .$if(policyVersion !== undefined, (query) => query.where("policy_version", "=", policyVersion!))
    .groupBy(["log_kind", "has_feedback"]).execute();
  // The join is needed only for the version: each feedback row has its trace.
  const feedback = policyVersion === undefined
    ? db.selectFrom("rlcf_feedback as f")
    : db.selectFrom("rlcf_feedback as f").where(
      "f.trace_id",
      "in",
      db.selectFrom("rlcf_traces").select("id").where("policy_version", "=", policyVersion),
    );
  const { n, mean } = await feedback
    .select((eb) => [eb.fn.countAll<number>().as("n"), eb.fn.avg<number | null>("f.overall_score").as("mean")])
    .executeTakeFirstOrThrow();
  const sum = (chosen: typeof groups): number => chosen.reduce((total, group) => total + group.n, 0);
  return {
    total_traces: sum(groups),
    traces_with_feedback: sum(groups.filter((group) => group.has_feedback === 1)),
    total_feedback: n,
    avg_score: mean,
    policy_version: policyVersion ?? null,
    log_kinds: {
      sampled: sum(groups.filter((group) => group.log_kind === "sampled")),
      soft: sum(groups.filter((group) => group.log_kind === "soft")),
      none: sum(groups.filter((group) => group.log_kind === "none")),
    },
  };
}
