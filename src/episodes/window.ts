/**
 * Which feedback a session reads, and what lies outside of it.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";

const MS_PER_DAY = 24 * 60 * 60 * 1000;

/** Feedback that a window leaves out by its date; field names are those of `train --json`. */
export interface OutsideWindow {
  /** Feedback rows from before the window. */
  readonly older: number;
  /** The oldest of them, ISO 8601 in UTC; null where there is none. */
  readonly oldest: string | null;
  /** The `lookback_days` that would reach it; null where there is none. */
  readonly days_to_reach: number | null;
  /** Feedback rows dated after the window, by a clock that is ahead or by mistake. */
  readonly newer: number;
}

/** The window of a session that starts now: the last `lookback_days`, at most `max_episodes` feedback rows. */
export function windowOf(config: Config, now: Date, policyVersion?: string): TrainingWindow {
  const since = new Date(now.getTime() - config.database.lookbackDays * MS_PER_DAY);
  return {
    since: since.toISOString(),
    until: now.toISOString(),
    maxFeedback: config.training.maxEpisodes,
    ...(policyVersion === undefined ? {} : { policyVersion }),
  };
}

/** Counts what a window leaves out by its date. Two walks along an index; no row is read. */
export async function outsideOf(store: RLCFPersistence, window: TrainingWindow): Promise<OutsideWindow> {
  const { since, until, policyVersion } = window;
  const all = { since: null, maxFeedback: Infinity, ...(policyVersion === undefined ? {} : { policyVersion }) };
  const span = await store.getFeedbackSpan(policyVersion);
  const begin = since === null ? -Infinity : Date.parse(since);
  const isOlder = span !== null && Date.parse(span.oldest) < begin;
  const isNewer = span !== null && span.newest > until;
  return {
    older: isOlder ? await store.countTrainingRows({ ...all, until: new Date(begin - 1).toISOString() }) : 0,
    oldest: isOlder ? span.oldest : null,
    // A day more than the plain quotient would do as well, but no less: the session begins a little later.
    days_to_reach: isOlder ? Math.floor((Date.parse(until) - Date.parse(span.oldest)) / MS_PER_DAY) + 1 : null,
    newer: isNewer ? await store.countTrainingRows({ ...all, since: justAfter(until), until: span.newest }) : 0,
  };
}

function justAfter(timestamp: string): string {
  return new Date(Date.parse(timestamp) + 1).toISOString();
}
