/**
 * The right to train a policy type: one holder at a time, across processes and hosts. A holder that died loses it when
 * it stops renewing, or at once to a trainer on the same host that can prove the death. All times are the database's
 * clock, because hosts' clocks differ.
 *
 * A holder that was stopped for longer than its lease lasts cannot know that it has been replaced. So whatever only the
 * holder may write is written in one transaction with {@link requireHeld}: the token of the lease, not the holder's
 * opinion, decides.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { sql, type Transaction } from "kysely";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import { attempt, type Patience } from "./errors.ts";
import type { Lease, LeaseHolder } from "./persistence.ts";
import { thisProcess } from "./process.ts";
import { forgetProof, isProvablyGone, ProofOfLife } from "./proof_of_life.ts";
import type { LeaseTable, Tables } from "./tables.ts";
import { nameOf } from "./values.ts";

/** How long a lease lasts, and how often its holder renews it. */
export interface LeaseTiming {
  /** A holder that did not renew for so long may be replaced. */
  readonly lifetimeSeconds: number;
  /** Pause between renewals. */
  readonly renewalMs: number;
}

/** Three renewals in a lifetime: one may fail without a loss. */
export const LEASE_TIMING: LeaseTiming = { lifetimeSeconds: 60, renewalMs: 20_000 };

type LeaseRow = { [K in keyof LeaseTable]: LeaseTable[K] };

/** Takes the lease and renews it until disposed; see RLCFPersistence.acquireLease. */
export async function acquireLease(
  database: Database,
  policyType: string,
  timing = LEASE_TIMING,
  patience?: Patience,
): Promise<HeldLease> {
  nameOf(policyType, "policy_type", 50);
  // A holder may let go between our attempt and our look at who holds it: then the next attempt succeeds.
  let gone: LeaseHolder | undefined;
  for (let tries = 0;; tries++) {
    const before = await lastHolder(database, policyType);
    const row = await tryToAcquire(database, policyType, timing, gone);
    if (row !== undefined) {
      if (gone !== undefined && row.token === gone.token + 1) sayTakenOver(gone);
      // Whether it died or its lease expired: it has a successor, and nobody asks for its proof again.
      if (before !== null && before.token < row.token) await forgetProof(before);
      const holder = holderFromRow(row);
      return new HeldLease(database, holder, await ProofOfLife.give(holder), { timing, patience });
    }
    const holder = await getLeaseHolder(database, policyType);
    gone = holder !== null && await isProvablyGone(holder) ? holder : undefined;
    if ((holder !== null && gone === undefined) || tries === 10) throw heldBy(policyType, holder);
  }
}

/**
 * Throws RlcfError("lease_held") unless the lease is still the holder's, and keeps it so until the transaction ends:
 * who wants to take it has to wait for the row.
 */
export async function requireHeld(
  transaction: Transaction<Tables>,
  database: Database,
  holder: LeaseHolder,
): Promise<void> {
  const { policyType, token } = holder;
  const row = await transaction.updateTable("training_leases").set({ renewed_at: database.now() })
    .where("policy_type", "=", policyType).where("token", "=", token).returning("token").executeTakeFirst();
  if (row !== undefined) return;
  const successor = await transaction.selectFrom("training_leases").selectAll().where("policy_type", "=", policyType)
    .executeTakeFirst();
  throw heldBy(policyType, successor === undefined ? null : holderFromRow(successor), "go on with");
}

/** Who took a lease last, whether or not it is still held. */
async function lastHolder({ db }: Database, policyType: string): Promise<LeaseHolder | null> {
  const row = await db.selectFrom("training_leases").selectAll().where("policy_type", "=", policyType)
    .executeTakeFirst();
  return row === undefined ? null : holderFromRow(row);
}

/** Who holds a lease now; see RLCFPersistence.getLeaseHolder. */
export async function getLeaseHolder({ db, now }: Database, policyType: string): Promise<LeaseHolder | null> {
  const row = await db.selectFrom("training_leases").selectAll().where("policy_type", "=", policyType)
    .where("expires_at", ">", now()).executeTakeFirst();
  return row === undefined ? null : holderFromRow(row);
}

/** One statement, so that of two that try at once only one succeeds. `gone` has died: its expiry need not be awaited. */
async function tryToAcquire(
  { db, now }: Database,
  policyType: string,
  { lifetimeSeconds }: LeaseTiming,
  gone: LeaseHolder | undefined,
): Promise<LeaseRow | undefined> {
  const { host, processId } = thisProcess();
  const { rows } = await sql<LeaseRow>`
    insert into training_leases (policy_type, host, process_id, token, acquired_at, renewed_at, expires_at)
    values (${policyType}, ${host}, ${processId}, 1, ${now()}, ${now()}, ${now(lifetimeSeconds)})
    on conflict (policy_type) do update set
      host = excluded.host, process_id = excluded.process_id, token = training_leases.token + 1,
      acquired_at = excluded.acquired_at, renewed_at = excluded.renewed_at, expires_at = excluded.expires_at
    where training_leases.expires_at <= excluded.acquired_at or training_leases.token = ${gone?.token ?? -1}
    returning *`.execute(db);
  return rows[0];
}

function sayTakenOver(gone: LeaseHolder): void {
  getLogger(["rlcf", "store"]).warn(
    "Process {processId} on this host ended without letting go of the lease of {policyType}, which it had held since " +
      "{acquiredAt}: taken over",
    { processId: gone.processId, policyType: gone.policyType, acquiredAt: gone.acquiredAt },
  );
}

/** A lease that this process holds. */
export class HeldLease implements Lease {
  readonly #database: Database;
  readonly #proof: ProofOfLife | undefined;
  readonly #timing: LeaseTiming;
  readonly #patience: Patience | undefined;
  readonly #timer: ReturnType<typeof setInterval>;
  #holder: LeaseHolder;
  #renewal: Promise<void> = Promise.resolve();
  #released = false;

  /** Starts the renewals. */
  constructor(
    database: Database,
    holder: LeaseHolder,
    proof: ProofOfLife | undefined,
    options: { readonly timing: LeaseTiming; readonly patience?: Patience | undefined },
  ) {
    this.#database = database;
    this.#holder = holder;
    this.#proof = proof;
    this.#timing = options.timing;
    this.#patience = options.patience;
    this.#timer = setInterval(() => void (this.#renewal = this.#renewOrLog()), this.#timing.renewalMs);
    // A forgotten lease must not keep the process alive.
    this.#timer.unref();
  }

  /** The holder, with the expiry of the last renewal. */
  get holder(): LeaseHolder {
    return this.#holder;
  }

  /** Renews the lease, which fails exactly if another process has taken it, or if it was released. */
  async assertHeld(): Promise<void> {
    const action = `renew the training lease in ${this.#database.location}`;
    if (this.#released || !await attempt(action, this.#database, () => this.#renew(), this.#patience)) {
      throw heldBy(
        this.#holder.policyType,
        await getLeaseHolder(this.#database, this.#holder.policyType),
        "go on with",
      );
    }
  }

  /**
   * Stops the renewals and lets go of the lease, unless another process has taken it. Where the database cannot be told,
   * that is logged, not thrown: what went wrong before matters more, and the lease expires by itself.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#timer);
    await this.#renewal;
    let told = false;
    try {
      // The row stays, for its token: the next holder must have a larger one.
      await this.#own().set((eb) => ({ expires_at: eb.ref("acquired_at") })).execute();
      told = true;
    } catch (error) {
      getLogger(["rlcf", "store"]).warn(
        "The lease of {policyType} could not be let go, it ends at {expiresAt}: {cause}",
        {
          policyType: this.#holder.policyType,
          expiresAt: this.#holder.expiresAt,
          cause: this.#causeOf(error),
        },
      );
    } finally {
      await this.#proof?.end(told);
    }
  }

  async #renewOrLog(): Promise<void> {
    const { policyType } = this.#holder;
    const logger = getLogger(["rlcf", "store"]);
    try {
      if (await this.#renew()) return;
      clearInterval(this.#timer);
      logger.error("The lease of {policyType} was lost to another process", { policyType });
    } catch (error) {
      logger.warn("The lease of {policyType} could not be renewed: {cause}", {
        policyType,
        cause: this.#causeOf(error),
      });
    }
  }

  #causeOf(error: unknown): string {
    return this.#database.explain(error)?.cause ?? messageOf(error);
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
