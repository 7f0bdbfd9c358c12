/**
 * The import of a database of the original, from beginning to end: sessions, versions, then traces with their feedback,
 * a page at a time. Each page is stored in one transaction, and what is stored already is passed over, so that a run
 * which was killed is finished by the next one, and a run after that adds nothing.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type {
  ImportBatch,
  ImportedFeedback,
  ImportedTrace,
  RLCFPersistence,
  StoredKind,
} from "../store/persistence.ts";
import { uuidOrUndefined } from "../store/values.ts";
import { feedbackOf, type Mapped, traceOf } from "./legacy_log.ts";
import { type RejectReason, type Repair, Unusable, unusable } from "./legacy_reasons.ts";
import { checkpointOf, sessionOf } from "./legacy_registry.ts";
import type { LegacySource } from "./legacy_source.ts";
import type { LegacyRow, LegacyTable, LegacyValue } from "./legacy_tables.ts";

/** What became of the rows of one table. */
export interface TableCounts {
  /** Rows read. */
  read: number;
  /** Rows stored now; in a dry run, those that would be. */
  stored: number;
  /** Rows that were there already. */
  known: number;
  /** Rows that cannot be used. */
  rejected: number;
}

/** What an import did; the field names are those of `import --json`. */
export interface ImportReport {
  /** What became of `rlcf_traces`. */
  readonly traces: TableCounts;
  /** What became of `rlcf_feedback`. */
  readonly feedback: TableCounts;
  /** What became of `rlcf_training_sessions`. */
  readonly sessions: TableCounts;
  /** What became of `rlcf_policy_checkpoints`. */
  readonly checkpoints: TableCounts;
  /** How many rows were left out, by reason. */
  readonly rejected: Partial<Record<RejectReason, number>>;
  /** How many rows were kept after something in them was put right, by what it was; rows stored now only. */
  readonly repaired: Partial<Record<Repair, number>>;
  /** The versions that are active in the source; they come without weights and are stored inactive. */
  readonly was_active: { readonly policy_type: string; readonly version: string; readonly path: string | null }[];
}

/** A row that cannot be used. */
export interface RejectedRow {
  /** Its table. */
  readonly table: LegacyTable;
  /** Its place among the rows of the table as they were read, from 1. */
  readonly number: number;
  /** The reason, and what was found where. */
  readonly reason: string;
  /** The row as JSON. */
  readonly text: string;
}

/** How to import. */
export interface ImportOptions {
  /** Reads and checks everything and stores nothing. */
  readonly dryRun?: boolean;
  /** Called for every row that cannot be used. */
  readonly onReject?: (row: RejectedRow) => void;
  /** Called after every page with the number of rows read so far. */
  readonly onProgress?: (rows: number) => void;
}

/** A row of any table. */
type AnyRow = { readonly id: LegacyValue };
/** The kinds of a report. */
type Kind = "traces" | "feedback" | "sessions" | "checkpoints";

const TABLE_OF = {
  traces: "rlcf_traces",
  feedback: "rlcf_feedback",
  sessions: "rlcf_training_sessions",
  checkpoints: "rlcf_policy_checkpoints",
} as const satisfies Readonly<Record<Kind, LegacyTable>>;

/**
 * Imports a database.
 *
 * @param source open; nothing is written there
 * @throws RlcfError `database` if one of the two fails; what was stored by then stays
 */
export async function importDatabase(
  source: LegacySource,
  store: RLCFPersistence,
  options: ImportOptions = {},
): Promise<ImportReport> {
  const run = new Import(source, store, options);
  await run.registry();
  await run.log();
  await run.orphans();
  return run.report;
}

class Import {
  readonly #source: LegacySource;
  readonly #store: RLCFPersistence;
  readonly #options: ImportOptions;
  readonly report: ImportReport;

  constructor(source: LegacySource, store: RLCFPersistence, options: ImportOptions) {
    [this.#source, this.#store, this.#options] = [source, store, options];
    const none = (): TableCounts => ({ read: 0, stored: 0, known: 0, rejected: 0 });
    const report: ImportReport = {
      traces: none(),
      feedback: none(),
      sessions: none(),
      checkpoints: none(),
      rejected: {},
      repaired: {},
      was_active: [],
    };
    this.report = report;
  }

  /** Sessions and versions: few rows, so each is stored by itself, and one that is refused stops no other. */
  async registry(): Promise<void> {
    const sessions = new Set<string>();
    for await (const page of this.#source.pages("rlcf_training_sessions")) {
      const known = await this.#known("session", page);
      for (const row of page) {
        await this.#keep("sessions", row, known, async () => {
          const mapped = sessionOf(row);
          await this.#save({ sessions: [mapped.record] });
          sessions.add(mapped.record.id);
          return mapped;
        });
      }
      for (const id of known) sessions.add(id);
      this.#progress();
    }
    for await (const page of this.#source.pages("rlcf_policy_checkpoints")) {
      const known = await this.#known("checkpoint", page);
      for (const row of page) {
        if (row.is_active === 1) this.#wasActive(row);
        await this.#keep("checkpoints", row, known, async () => {
          const mapped = checkpointOf(row, sessions);
          const { version, policyType } = mapped.record;
          if (await this.#store.getPolicyCheckpoint(version, policyType) !== null) {
            unusable("version_taken", `version: ${policyType} ${version} is stored already under another id`);
          }
          await this.#save({ checkpoints: [mapped.record] });
          return mapped;
        });
      }
      this.#progress();
    }
    const types = this.report.was_active.map(({ policy_type }) => policy_type);
    for (const type of new Set(types)) {
      if (types.filter((other) => other === type).length > 1) this.#count(["several_active"]);
    }
  }

  /** Traces and their feedback. */
  async log(): Promise<void> {
    for await (const page of this.#source.pages("rlcf_traces")) {
      const known = await this.#known("trace", page);
      const ids = page.map((row) => String(row.id));
      const judged = await this.#source.judged(ids);
      /** The query of every trace that is stored, or will be with this page. */
      const queries = new Map<string, string>();
      let traces: ImportedTrace[] = [];
      for (const row of page) {
        const kept = await this.#keep("traces", row, known, () => {
          const mapped = traceOf(row, judged.has(String(row.id)));
          traces.push(mapped.record);
          return mapped;
        });
        if (kept) queries.set(String(row.id), String(row.query_id));
      }
      for await (const feedbackPage of this.#source.feedbackOn(ids)) {
        await this.#save({ traces, feedback: await this.#feedback(feedbackPage, queries) });
        traces = [];
        this.#progress();
      }
      await this.#save({ traces });
      this.#progress();
    }
  }

  /** Feedback on no trace at all. */
  async orphans(): Promise<void> {
    for await (const page of this.#source.orphans()) {
      for (const row of page) {
        await this.#keep(
          "feedback",
          row,
          new Set(),
          () => unusable("unknown_trace", `there is no trace ${row.trace_id}`),
        );
      }
      this.#progress();
    }
  }

  async #feedback(
    page: readonly LegacyRow<"rlcf_feedback">[],
    queries: ReadonlyMap<string, string>,
  ): Promise<ImportedFeedback[]> {
    const known = await this.#known("feedback", page);
    const records: ImportedFeedback[] = [];
    for (const row of page) {
      await this.#keep("feedback", row, known, () => {
        const query = queries.get(String(row.trace_id));
        if (query === undefined) return unusable("trace_rejected", `its trace ${row.trace_id} was left out`);
        const mapped = feedbackOf(row, query);
        records.push(mapped.record);
        return mapped;
      });
    }
    return records;
  }

  /** Counts a row, and keeps it unless it is stored already. Whether the store has it, or will. */
  async #keep(
    kind: Kind,
    row: AnyRow,
    known: ReadonlySet<string>,
    keep: () => Mapped<unknown> | Promise<Mapped<unknown>>,
  ): Promise<boolean> {
    const counts = this.report[kind];
    counts.read++;
    if (known.has(String(row.id).toLowerCase())) {
      counts.known++;
      return true;
    }
    try {
      const { repairs } = await keep();
      counts.stored++;
      this.#count(repairs);
      return true;
    } catch (thrown) {
      const flaw = thrown instanceof RlcfError && thrown.code === "usage"
        ? new Unusable("bad_record", thrown.message)
        : thrown;
      if (!(flaw instanceof Unusable)) throw thrown;
      counts.rejected++;
      this.report.rejected[flaw.reason] = (this.report.rejected[flaw.reason] ?? 0) + 1;
      this.#options.onReject?.({
        table: TABLE_OF[kind],
        number: counts.read,
        reason: `${flaw.reason}: ${flaw.message} (id ${row.id})`,
        text: JSON.stringify(row),
      });
      return false;
    }
  }

  /** The ids of a page that are stored. */
  async #known(
    kind: StoredKind,
    page: readonly AnyRow[],
  ): Promise<Set<string>> {
    // An id that is no UUID is told as what it is when its row is read.
    const ids = page.map(({ id }) => uuidOrUndefined(String(id))).filter((id) => id !== undefined);
    return await this.#store.knownIds(kind, ids);
  }

  async #save(batch: ImportBatch): Promise<void> {
    const rows = Object.values(batch).reduce((sum, records) => sum + records.length, 0);
    if (rows > 0 && this.#options.dryRun !== true) await this.#store.importBatch(batch);
  }

  #wasActive(row: LegacyRow<"rlcf_policy_checkpoints">): void {
    this.report.was_active.push({
      policy_type: String(row.policy_type),
      version: String(row.version),
      path: row.state_dict_path === null ? null : String(row.state_dict_path),
    });
  }

  #count(repairs: readonly Repair[]): void {
    for (const repair of repairs) this.report.repaired[repair] = (this.report.repaired[repair] ?? 0) + 1;
  }

  #progress(): void {
    const { traces, feedback, sessions, checkpoints } = this.report;
    this.#options.onProgress?.(traces.read + feedback.read + sessions.read + checkpoints.read);
  }
}
