/**
 * All that a report shows, gathered before a line of it is written. Null stands for what could not be had; `notes` says
 * why.
 *
 * @module
 */
import type { Disagreement } from "../episodes/disagreement.ts";
import type { LogMix } from "../episodes/episode_set.ts";
import type { Interval } from "../evaluate/bootstrap.ts";
import type { LevelName } from "../feedback/levels.ts";
import type { Recorded } from "./recorded.ts";

/** The version that the report is about. */
export interface VersionFacts {
  /** E.g. `v1.0.1`. */
  readonly version: string;
  /** `gating`, `react` or `traversal`. */
  readonly policyType: string;
  /** Whether it is the active one now. */
  readonly isActive: boolean;
  /** ISO 8601. */
  readonly createdAt: string;
  /** When it was last made active; null if it never was. */
  readonly activatedAt: string | null;
  /** The version that training started from; null for fresh weights. */
  readonly parentVersion: string | null;
  /** Episodes visited over all passes. */
  readonly trainingEpisodes: number;
  /** SHA-256 of the checkpoint's manifest. */
  readonly sha256: string | null;
  /** The experts that it routes to, or what else it chooses among. */
  readonly experts: readonly string[];
  /** The session that made it; null if it is not on record. */
  readonly session: { readonly id: string; readonly episodes: number; readonly feedback: number } | null;
}

/** A policy's estimated value, or what the log earned. */
export interface ValueRow {
  /** The log, the version before, or the version that the report is about. */
  readonly role: Role;
  /** The version; null for the log. */
  readonly version: string | null;
  /** Mean score, from 0 to 1; null where it cannot be told. */
  readonly value: number | null;
  /** 95% interval. */
  readonly interval: Interval | null;
  /** How many equally weighted episodes would say as much; null for the log. */
  readonly effective: number | null;
}

/** Whose routing. */
export type Role = "logged" | "previous" | "version";

/** Values on the same rows. */
export interface ValueFacts {
  /** `now`: on the log as it is today. `recorded`: as training wrote it down. */
  readonly source: "now" | "recorded";
  /** Name of the estimator, as in `train --json`. */
  readonly method: string;
  /** Held-out episodes. */
  readonly episodes: number;
  /** The log, the previous version if there is one, the version. */
  readonly rows: readonly ValueRow[];
  /** Why importance weights say nothing. */
  readonly notIdentified: readonly string[];
}

/** Shares of the experts under several routings. */
export interface RoutingShares {
  /** Whose. */
  readonly role: Role;
  /** The version; null for the log. */
  readonly version: string | null;
  /** [E] in the order of the experts. */
  readonly shares: readonly number[];
}

/** A query whose routing changes; asked several times, it is one query. */
export interface QueryChange {
  /** Its ids: queries with the same embedding are the same to a policy. */
  readonly queryIds: readonly string[];
  /** Its text; null if none was stored. */
  readonly text: string | null;
  /** Total variation between old and new routing, or a lower bound of it, in [0, 1]. */
  readonly change: number;
  /** [E] old weights; null where the old policy is not known. */
  readonly before: readonly number[] | null;
  /** [E] new weights. */
  readonly after: readonly number[];
  /** What was logged on it, a few at most; first the answer by which the change was measured. */
  readonly answers: readonly LoggedAnswer[];
  /** Logged answers that are not listed. */
  readonly moreAnswers: number;
}

/** An answer to a query and what people thought of it. */
export interface LoggedAnswer {
  /** The drawn expert; null where several were mixed. */
  readonly expert: string | null;
  /** Its logged probability; null where several were mixed. */
  readonly propensity: number | null;
  /** Mean score, from 0 to 1. */
  readonly score: number;
}

/** What changes between two routings. */
export interface ChangeFacts {
  /**
   * What the new routing is compared with: the version before, the logged mixtures, or the logged probability of the
   * one expert that was drawn (which bounds the change from below).
   */
  readonly against: "previous" | "mixtures" | "propensities";
  /** Mean change over the queries. */
  readonly mean: number;
  /** Queries of the log. */
  readonly queries: number;
  /** Queries whose most likely expert is another one now; null where the old policy is not known. */
  readonly otherExpert: number | null;
  /** Most changed first. */
  readonly most: readonly QueryChange[];
}

/** What the log holds. */
export interface LogFacts {
  /** ISO 8601; null where there is no bound. */
  readonly since: string | null;
  /** ISO 8601. */
  readonly until: string;
  /** Feedback found. */
  readonly available: number;
  /** Most feedback that is read, the newest first. */
  readonly limit: number;
  /** Feedback used. */
  readonly used: number;
  /** Feedback left out, by reason. */
  readonly skipped: Readonly<Record<string, number>>;
  /** Answered queries with feedback that can be used. */
  readonly episodes: number;
  /** Distinct queries among them. */
  readonly queries: number;
  /** Held out. */
  readonly holdout: number;
  /** Drawn, mixed, or some of each. */
  readonly mix: LogMix;
  /** Whether no drawn expert had an alternative. */
  readonly deterministic: boolean;
  /** Smallest probability of a drawn expert; null without draws. */
  readonly minPropensity: number | null;
  /** Share of the held-out importance weights that are extreme; null without weights. */
  readonly extremeShare: number | null;
  /** [E] share of each expert in the log. */
  readonly loggedShares: readonly number[];
  /** People who gave the feedback. */
  readonly users: number;
  /** Episodes that name nobody. */
  readonly anonymous: number;
  /** Share of the episodes that the busiest person speaks for. */
  readonly busiestShare: number | null;
  /** How far people differ about one answer; null where none was judged twice. */
  readonly disagreement: Disagreement | null;
  /** Share of the episodes on which a level was judged; null where levels are not looked at. */
  readonly judged: Readonly<Record<LevelName, number>> | null;
}

/** Everything. */
export interface ReportData {
  /** The version that the report is about. */
  readonly version: VersionFacts;
  /** The version it is compared with; null if there is none. */
  readonly previous: string | null;
  /** What training wrote down. */
  readonly recorded: Recorded;
  /** Values of the routings. */
  readonly value: ValueFacts | null;
  /** Shares of the experts; empty without a log. */
  readonly routing: readonly RoutingShares[];
  /** What changes. */
  readonly changes: ChangeFacts | null;
  /** The log. */
  readonly log: LogFacts;
  /** What could not be done, each a sentence. */
  readonly notes: readonly string[];
  /** When the report was written, ISO 8601. */
  readonly writtenAt: string;
  /** Where the data is, with any password masked. */
  readonly location: string;
}
