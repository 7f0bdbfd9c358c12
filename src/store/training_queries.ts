/**
 * The SQL of what training reads. Both queries walk the index of feedback on (created_at, id), and the test beside this
 * file asks both databases whether they do.
 *
 * @module
 */
import type { CompiledQuery, Kysely } from "kysely";
import { expectTimestamp } from "../base/check.ts";
import type { ColumnType } from "./database.ts";
import type { TrainingWindow } from "./records.ts";
import type { Tables, TraceTable } from "./tables.ts";
import { limitOf, optionalTime } from "./values.ts";

/** The place of the last row that was read. */
export interface Cursor {
  /** Its feedback's time, as the database gave it. */
  readonly createdAt: string;
  /** Its feedback's id. */
  readonly id: string;
}

/** One page of a window. */
export interface PageRequest {
  /** Where the page before ended; undefined for the first. */
  readonly cursor: Cursor | undefined;
  /** Most rows. */
  readonly limit: number;
  /** Whether the feedback's JSON comes as the last column. */
  readonly withFeedback: boolean;
  /** Which policy's columns are read; `gating` by default. */
  readonly log?: LogName | undefined;
}

/** The policies that learn from feedback. */
export type LogName = "gating" | "react";

/** The columns of a page for the GatingPolicy, in order, and what they hold. */
const GATING_COLUMNS = [
  ["f.id", "uuid"],
  ["f.created_at", "time"],
  ["f.trace_id", "uuid"],
  ["f.overall_score", "float"],
  ["f.retrieval_score", "float"],
  ["f.reasoning_score", "float"],
  ["f.synthesis_score", "float"],
  ["f.user_authority", "float"],
  ["f.user_id", "text"],
  ["t.query_id", "text"],
  ["t.log_kind", "text"],
  ["t.gating_weights", "json"],
  ["t.gating_log_prob", "float"],
  ["t.query_embedding", "bytes"],
  ["f.feedback", "json"],
] as const satisfies readonly (readonly [string, ColumnType])[];

/** The columns of a page for the ReActPolicy. */
const REACT_COLUMNS = [
  ["f.id", "uuid"],
  ["f.created_at", "time"],
  ["f.trace_id", "uuid"],
  ["f.overall_score", "float"],
  ["f.user_authority", "float"],
  ["f.user_id", "text"],
  ["t.query_id", "text"],
  ["t.react_steps", "json"],
  ["t.react_states", "bytes"],
  ["f.feedback", "json"],
] as const satisfies readonly (readonly [string, ColumnType])[];

/** A row of a page for the ReActPolicy, in the order of its columns. */
export type ReActPageRow = readonly [
  id: string,
  createdAt: string,
  traceId: string,
  overallScore: number,
  userAuthority: number,
  userId: string | null,
  queryId: string,
  steps: string | null,
  states: Uint8Array | null,
  feedback?: string,
];

/** A row of a page for the GatingPolicy, in the order of its columns. */
export type PageRow = readonly [
  id: string,
  createdAt: string,
  traceId: string,
  overallScore: number,
  retrievalScore: number | null,
  reasoningScore: number | null,
  synthesisScore: number | null,
  userAuthority: number,
  userId: string | null,
  queryId: string,
  logKind: TraceTable["log_kind"],
  gatingWeights: string,
  gatingLogProb: number | null,
  embedding: Uint8Array | null,
  feedback?: string,
];

/** What the columns of a page hold. */
export function pageTypes(withFeedback: boolean, log: LogName = "gating"): readonly ColumnType[] {
  return pageColumns(withFeedback, log).map(([, type]) => type);
}

/** A page of feedback joined to its traces, newest first. */
export function pageQuery(db: Kysely<Tables>, window: TrainingWindow, page: PageRequest): CompiledQuery {
  const { cursor, limit, withFeedback, log = "gating" } = page;
  const { policyVersion } = window;
  const since = optionalTime(window.since, "since");
  return db.selectFrom("rlcf_feedback as f").innerJoin("rlcf_traces as t", "t.id", "f.trace_id")
    .select(pageColumns(withFeedback, log).map(([name]) => name))
    .where((eb) =>
      // The cursor takes the place of the upper bound. With both, SQLite would look for the bound alone and read every
      // earlier page again.
      cursor === undefined
        ? eb("f.created_at", "<=", expectTimestamp(window.until, "until"))
        : eb(eb.refTuple("f.created_at", "f.id"), "<", eb.tuple(cursor.createdAt, cursor.id))
    )
    .$if(since !== undefined, (query) => query.where("f.created_at", ">=", since!))
    .$if(policyVersion !== undefined, (query) => query.where("t.policy_version", "=", policyVersion!))
    .orderBy("f.created_at", "desc").orderBy("f.id", "desc").limit(limit)
    .compile();
}

/** The queries of one reading. All but the first differ in their cursors only, and each is built once. */
export class PageQueries {
  readonly #db: Kysely<Tables>;
  readonly #window: TrainingWindow;
  readonly #columns: Pick<PageRequest, "withFeedback" | "log">;
  /** The latest query that was built for a cursor. */
  #built: { readonly limit: number; readonly query: CompiledQuery } | undefined;

  /** @param columns what is read */
  constructor(db: Kysely<Tables>, window: TrainingWindow, columns: Pick<PageRequest, "withFeedback" | "log">) {
    this.#db = db;
    this.#window = window;
    this.#columns = columns;
  }

  /** The same as {@link pageQuery}, which takes as long as reading thirty rows, of a process's first pages eighty. */
  page(cursor: Cursor | undefined, limit: number): CompiledQuery {
    const build = (): CompiledQuery => pageQuery(this.#db, this.#window, { ...this.#columns, cursor, limit });
    if (cursor === undefined) return build();
    if (this.#built?.limit !== limit) this.#built = { limit, query: build() };
    const { query } = this.#built;
    // The cursor's condition is the query's first.
    return { ...query, parameters: [cursor.createdAt, cursor.id, ...query.parameters.slice(2)] };
  }
}

/** The number `n` of a window's rows. Only a policy version needs the traces: there is no feedback without one. */
export function countQuery(db: Kysely<Tables>, window: TrainingWindow): CompiledQuery<{ n: number }> {
  const { policyVersion } = window;
  const since = optionalTime(window.since, "since");
  const rows = db.selectFrom("rlcf_feedback as f").select("f.id")
    .where("f.created_at", "<=", expectTimestamp(window.until, "until"))
    .$if(since !== undefined, (query) => query.where("f.created_at", ">=", since!))
    .$if(policyVersion !== undefined, (query) =>
      query.where(({ exists, selectFrom }) =>
        exists(
          selectFrom("rlcf_traces as t").select("t.id").whereRef("t.id", "=", "f.trace_id")
            .where("t.policy_version", "=", policyVersion!),
        )
      ))
    .limit(limitOf(window.maxFeedback, "maxFeedback"));
  return db.selectFrom(rows.as("w")).select((eb) => eb.fn.countAll<number>().as("n")).compile();
}

type PageColumn = (typeof GATING_COLUMNS)[number] | (typeof REACT_COLUMNS)[number];

function pageColumns(withFeedback: boolean, log: LogName): readonly PageColumn[] {
  const columns: readonly PageColumn[] = log === "gating" ? GATING_COLUMNS : REACT_COLUMNS;
  return withFeedback ? columns : columns.slice(0, -1);
}
