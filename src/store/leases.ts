/**
 * The right to train a policy type: one holder at a time, across processes and hosts. A holder that died loses it
 * when it stops renewing. All times are the database's clock, because hosts' clocks differ.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { sql } from "kysely";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import type { Lease, LeaseHolder } from "./persistence.ts";
import { thisProcess } from "./process.ts";
import type { LeaseTable } from "./tables.ts";
import { nameOf } from "./values.ts";

/** How long a lease lasts, and how often its holder renews it. */
export interface LeaseTiming {
  /** A holder that did not renew for so long may be replaced. */
  readonly lifetimeSeconds: number;
  /** Pause between renewals. */
  readonly renewalMs: number;
}

const TIMING: LeaseTiming = { lifetimeSeconds: 60, renewalMs: 20_000 };

type LeaseRow = { [K in keyof LeaseTable]: LeaseTable[K] };

/** Takes the lease and renews it until disposed; see RLCFPersistence.acquireLease. */
export async function acquireLease(database: Database, policyType: string, timing = TIMING): Promise<HeldLease> {
  nameOf(policyType, "policy_type", 50);
  // A holder may let go between our attempt and our look at who holds it: then the next attempt succeeds.
  for (let attempt = 0;; attempt++) {
    const row = await tryToAcquire(database, policyType, timing);
    if (row !== undefined) return new HeldLease(database, holderFromRow(row), timing);
    const holder = await getLeaseHolder(database, policyType);
    if (holder !== null || attempt === 10) throw heldBy(policyType, holder);
  }
}

/** Who holds a lease now; see RLCFPersistence.getLeaseHolder. */
export async function getLeaseHolder({ db, now }: Database, policyType: string): Promise<LeaseHolder | null> {
  const row = await db.selectFrom("training_leases").selectAll().where("policy_type", "=", policyType)
    .where("expires_at", ">", now()).executeTakeFirst();
  return row === undefined ? null : holderFromRow(row);
}

/** One statement, so that of two that try at once only one succeeds. */
async function tryToAcquire(
  { db, now }: Database,
  policyType: string,
  { lifetimeSeconds }: LeaseTiming,
): Promise<LeaseRow | undefined> {
  const { host, processId } = thisProcess();
  const { rows } = await sql<LeaseRow>`
    insert into training_leases (policy_type, host, process_id, token, acquired_at, renewed_at, expires_at)
    values (${policyType}, ${host}, ${processId}, 1, ${now()}, ${now()}, ${now(lifetimeSeconds)})
    on conflict (policy_type) do update set
      host = excluded.host, process_id = excluded.process_id, token = training_leases.token + 1,
      acquired_at = excluded.acquired_at, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
    where training_leases.expires_at <= excluded.acquired_at
    returning *`.execute(db);
  return rows[0];
}

/** A lease that this process holds. */
export class HeldLease implements Lease {
  readonly #database: Database;
  readonly #timing: LeaseTiming;
  readonly #timer: ReturnType<typeof setInterval>;
  #holder: LeaseHolder;
  #renewal: Promise<void> = Promise.resolve();
  #released = false;

  /** Starts the renewals. */
  constructor(database: Database, holder: LeaseHolder, timing: LeaseTiming) {
    this.#database = database;
    this.#holder = holder;
    this.#timing = timing;
    this.#timer = setInterval(() => void (this.#renewal = this.#renewOrLog()), timing.renewalMs);
    // A forgotten lease must not keep the process alive.
    this.#timer.unref();
  }

  /** The holder, with the expiry of the last renewal. */
  get holder(): LeaseHolder {
    return this.#holder;
  }

  /** Renews the lease, which fails exactly if another process has taken it, or if it was released. */
  async assertHeld(): Promise<void> {
    if (this.#released || !await this.#renew()) {
      throw heldBy(
        this.#holder.policyType,
        await getLeaseHolder(this.#database, this.#holder.policyType),
        "go on with",
      );
    }
  }

  /** Stops the renewals and lets go of the lease, unless another process has taken it. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#timer);
    await this.#renewal;
    // The row stays, for its token: the next holder must have a larger one.
    await this.#own().set((eb) => ({ expires_at: eb.ref("acquired_at") })).execute();
  }

  async #renewOrLog(): Promise<void> {
    const { policyType } = this.#holder;
    const logger = getLogger(["rlcf", "store"]);
    try {
      if (await this.#renew()) return;
      clearInterval(this.#timer);
      logger.error("The lease of {policyType} was lost to another process", { policyType });
    } catch (error) {
      const cause = this.#database.explain(error)?.cause ?? messageOf(error);
      logger.warn("The lease of {policyType} could not be renewed: {cause}", { policyType, cause });
    }
  }

  async #renew(): Promise<boolean> {
    const { now } = this.#database;
    const row = await this.#own()
      .set({ renewed_at: now(), expires_at: now(this.#timing.lifetimeSeconds) }).returningAll().executeTakeFirst();
    if (row === undefined) return false;
    this.#holder = holderFromRow(row);
    return true;
  }

  /** The update of our row, as long as it is ours. */
  // deno-lint-ignore explicit-function-return-type -- Kysely's type for it is longer than the function
  #own() {
    return this.#database.db.updateTable("training_leases").where("policy_type", "=", this.#holder.policyType)
      .where("token", "=", this.#holder.token);
  }
}

function holderFromRow(row: LeaseRow): LeaseHolder {
  return {
    policyType: row.policy_type,
    host: row.host,
    processId: row.process_id,
    token: row.token,
    acquiredAt: row.acquired_at,
    expiresAt: row.expires_at,
  };
}

function heldBy(policyType: string, holder: LeaseHolder | null, action = "start"): RlcfError {
  if (holder === null) {
    return new RlcfError("lease_held", `cannot ${action} training ${policyType}: its lease is not held any more`, {
      hint: "Start again.",
    });
  }
  return new RlcfError(
    "lease_held",
    `cannot ${action} training ${policyType}: process ${holder.processId} on host ${holder.host} ` +
      `has been training it since ${holder.acquiredAt}`,
    { hint: `Wait until it ends. If that process has died, its lease expires at ${holder.expiresAt}.` },
  );
}
