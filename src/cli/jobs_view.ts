/**
 * Jobs and schedules as people read them.
 *
 * @module
 */
import { overridesText } from "../queue/job.ts";
import type { JobView, QueueView, ScheduleView } from "../queue/overview.ts";
import { type Cell, count, sayTable, shortTime } from "./table.ts";

/** A table of jobs. */
export function sayJobs(jobs: readonly JobView[]): void {
  sayTable(
    ["job", "policy", "state", "settings", "attempts", "created (UTC)", "result"],
    jobs.map((job) => [
      job.id,
      job.policy_type,
      job.state,
      overridesText(job.set),
      job.attempts,
      shortTime(job.created_at),
      resultText(job),
    ]),
  );
}

/** A table of schedules. */
export function saySchedules(schedules: readonly ScheduleView[]): void {
  sayTable(
    ["schedule", "policy", "when", "settings"],
    schedules.map(({ name, policy_type, cron, timezone, set }) => [
      name,
      policy_type,
      `${cron} (${timezone})`,
      overridesText(set),
    ]),
  );
}

/** All of one job. */
export function jobRow(job: JobView): (readonly [string, Cell])[] {
  return [
    ["job", job.id],
    ["policy", job.policy_type],
    ["state", job.state],
    ["settings", overridesText(job.set)],
    ["traces of", job.policy_version ?? "every version"],
    ["priority", job.priority],
    ["attempts", `${count(job.attempts)}, ${count(job.retries_left)} retries left`],
    ["created", `${shortTime(job.created_at)} UTC`],
    ["due", `${shortTime(job.due_at)} UTC`],
    ["started", shortTime(job.started_at)],
    ["ended", shortTime(job.ended_at)],
    ["result", resultText(job) || null],
    ["session", typeof job.result?.session_id === "string" ? job.result.session_id : null],
  ];
}

/** Jobs in each state that has any, e.g. `2 waiting, 1 running`. */
export function countsText({ counts }: Pick<QueueView, "counts">): string {
  const some = Object.entries(counts).filter(([, number]) => number > 0);
  return some.length === 0 ? "none" : some.map(([state, number]) => `${count(number)} ${state}`).join(", ");
}

function resultText({ result }: JobView): string {
  if (result === null) return "";
  if (typeof result.version === "string") return `${result.version}${result.activated === true ? ", active" : ""}`;
  return `${result.code ?? "failed"}: ${result.message ?? ""}`;
}
