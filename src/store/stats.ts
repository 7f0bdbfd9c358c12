/**
 * Counts over the stored traces and feedback.
 *
 * @module
 */
import type { Database } from "./database.ts";
import type { TrainingStats } from "./records.ts";

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
