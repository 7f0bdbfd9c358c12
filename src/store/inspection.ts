/**
 * A look at a database as it is, for whoever wants to know what is wrong with it: nothing is created or migrated, and
 * nothing is written before it is asked for.
 *
 * @module
 */
import { sql } from "kysely";
import type { Database } from "./database.ts";
import { DatabasePersistence } from "./database_persistence.ts";
import { attempt } from "./errors.ts";
import { countFuture, countStrays, countWrongFlags, doubleActives, mendFlags } from "./inspection_counts.ts";
import type { FutureRows, StrayRows, WrongFlags } from "./inspection_counts.ts";
import { integrityFlaws } from "./inspection_integrity.ts";
import { listUrlTexts, replaceText, type StoredText } from "./inspection_texts.ts";
import { MIGRATION_NAMES } from "./migrations.ts";
import type { RLCFPersistence } from "./persistence.ts";
import { isProvablyGone } from "./proof_of_life.ts";
import type { LeaseHolder } from "./records.ts";
import { parseDatabaseUrl } from "./url.ts";

export type { FutureRows, StoredText, StrayRows, WrongFlags };

/** How far a database's schema is. */
export interface SchemaState {
  /** Migrations that are missing; all of them in a database that rlcf never used. */
  readonly missing: readonly string[];
  /** Migrations that this program does not know: a newer one made them. */
  readonly unknown: readonly string[];
}

/** A lease's row, held or not. */
export interface LeaseState {
  /** Who took it last. */
  readonly holder: LeaseHolder;
  /** Whether it has not expired. */
  readonly live: boolean;
  /** Whether its holder let go of it. */
  readonly released: boolean;
  /** Whether the holder can be shown to have died, though it has not expired. */
  readonly orphaned: boolean;
}

/** An open database under examination. */
export interface StoreInspection extends AsyncDisposable {
  /** `sqlite` or `postgres`. */
  readonly dialect: "sqlite" | "postgres";
  /** Where it is, with any password masked. */
  readonly location: string;
  /** The store on it; usable only where no migration is missing. */
  readonly store: RLCFPersistence;
  /** How far the schema is. The first call connects. */
  getSchema(): Promise<SchemaState>;
  /** What the database itself finds wrong with its files and references, one sentence each. */
  checkIntegrity(): Promise<string[]>;
  /** The database's clock, milliseconds since 1970. */
  getClockMs(): Promise<number>;
  /** Rows that refer to rows that are not there. */
  countStrays(): Promise<StrayRows>;
  /** Policy types with more than one active version. */
  listDoubleActives(): Promise<string[]>;
  /** Traces whose `has_feedback` is not what `rlcf_feedback` says. */
  countWrongFlags(): Promise<WrongFlags>;
  /** Sets `has_feedback` by `rlcf_feedback`; returns how many traces were changed. */
  mendFlags(): Promise<number>;
  /** Rows dated later than so many seconds from now. */
  countFuture(toleranceSeconds: number): Promise<FutureRows>;
  /** All leases that were ever taken. */
  listLeases(): Promise<LeaseState[]>;
  /** Texts of sessions and checkpoints that hold a URL with an `@`, where a password may stand. */
  listUrlTexts(): Promise<StoredText[]>;
  /** Writes another text in place of one of {@link listUrlTexts}. */
  replaceText(place: StoredText, text: string): Promise<void>;
}

/**
 * Opens a database for examination.
 *
 * @returns null where a SQLite file does not exist; it is not created
 * @throws RlcfError("usage") for a URL that is none. A database that cannot be reached is noticed by the first call.
 */
export async function inspectStore(url: string, poolSize: number): Promise<StoreInspection | null> {
  const target = parseDatabaseUrl(url);
  if (target.dialect === "sqlite") {
    if (target.path !== ":memory:" && !exists(target.path)) return null;
    return inspectionOf((await import("./sqlite/open.ts")).openSqlite(target, "examination"));
  }
  return inspectionOf((await import("./postgres/open.ts")).openPostgres(target, poolSize));
}

function inspectionOf(database: Database): StoreInspection {
  const { dialect, location } = database;
  const doing = <T>(action: string, work: () => Promise<T>): Promise<T> =>
    attempt(`${action} in ${location}`, database, work);
  return {
    dialect,
    location,
    store: new DatabasePersistence(database, { patienceMs: 0 }),
    getSchema: () => attempt(`open ${location}`, database, () => schemaOf(database)),
    checkIntegrity: () => doing("check the integrity of the tables", () => integrityFlaws(database)),
    getClockMs: () => doing("read the clock", () => clockOf(database)),
    countStrays: () => doing("look for lost references", () => countStrays(database)),
    listDoubleActives: () => doing("look at the active versions", () => doubleActives(database)),
    countWrongFlags: () => doing("compare has_feedback with the feedback", () => countWrongFlags(database)),
    mendFlags: () => doing("set has_feedback", () => mendFlags(database)),
    countFuture: (seconds) => doing("look for dates in the future", () => countFuture(database, seconds)),
    listLeases: () => doing("read the training leases", () => leasesOf(database)),
    listUrlTexts: () => doing("look for stored passwords", () => listUrlTexts(database)),
    replaceText: (place, text) => doing("mask a stored password", () => replaceText(database, place, text)),
    [Symbol.asyncDispose]: () => database.db.destroy(),
  };
}

async function schemaOf({ db, isMissingTable }: Database): Promise<SchemaState> {
  let applied: readonly string[] = [];
  try {
    const { rows } = await sql<{ name: string }>`select name from rlcf_migration`.execute(db);
    applied = rows.map(({ name }) => name);
  } catch (error) {
    if (!isMissingTable(error)) throw error;
  }
  const known: readonly string[] = MIGRATION_NAMES;
  return {
    missing: known.filter((name) => !applied.includes(name)),
    unknown: applied.filter((name) => !known.includes(name)),
  };
}

async function clockOf({ db, now }: Database): Promise<number> {
  const { rows } = await sql<{ now: string }>`select ${now()} as now`.execute(db);
  return Date.parse(rows[0]!.now);
}

async function leasesOf({ db, now }: Database): Promise<LeaseState[]> {
  const live = await db.selectFrom("training_leases").select("policy_type").where("expires_at", ">", now()).execute();
  const rows = await db.selectFrom("training_leases").selectAll().orderBy("policy_type").execute();
  return await Promise.all(rows.map(async (row) => {
    const holder = {
      policyType: row.policy_type,
      host: row.host,
      processId: row.process_id,
      token: row.token,
      acquiredAt: row.acquired_at,
      expiresAt: row.expires_at,
    };
    const isLive = live.some(({ policy_type }) => policy_type === row.policy_type);
    return {
      holder,
      live: isLive,
      released: row.expires_at <= row.acquired_at,
      orphaned: isLive && await isProvablyGone(holder),
    };
  }));
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    // What else is wrong with the path is for SQLite to say.
    return !(error instanceof Deno.errors.NotFound);
  }
}
