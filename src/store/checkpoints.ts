/**
 * The registry of policy versions: which exist, which one is active, and how it came to be.
 *
 * @module
 */
import type { Insertable, Selectable, Transaction } from "kysely";
import { type JsonObject, unwanted } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { Database } from "./database.ts";
import { requireHeld } from "./leases.ts";
import type { LeaseHolder, NewPolicyCheckpoint, PolicyActivation, PolicyCheckpoint } from "./records.ts";
import type { CheckpointTable, Tables } from "./tables.ts";
import { countOf, jsonText, limitOf, nameOf, newId, optionalName } from "./values.ts";

/** Who writes, when, and by which right. */
interface Writer {
  /** ISO 8601 in UTC. */
  readonly at: string;
  /** The lease that must still be held when it is written; none for what anybody may write. */
  readonly fence: LeaseHolder | undefined;
}

/**
 * Stores an inactive checkpoint; see RLCFPersistence.savePolicyCheckpoint.
 *
 * @param id of the new row; a second attempt with the same one adds nothing
 */
export async function savePolicyCheckpoint(
  database: Database,
  checkpoint: NewPolicyCheckpoint,
  id: string,
  { at, fence }: Writer,
): Promise<string> {
  const { version, policyType, manifestSha256 = null, trainingSessionId = null } = checkpoint;
  if (manifestSha256 !== null && !/^[0-9a-f]{64}$/.test(manifestSha256)) {
    unwanted(manifestSha256, "checkpoint.manifest_sha256", "64 hexadecimal digits in lower case");
  }
  const row: Insertable<CheckpointTable> = {
    id,
    version: nameOf(version, "checkpoint.version", 50),
    policy_type: nameOf(policyType, "checkpoint.policy_type", 50),
    parent_version: optionalName(checkpoint.parentVersion, "checkpoint.parent_version", 50),
    state_dict_path: optionalName(checkpoint.stateDictPath, "checkpoint.state_dict_path", 500),
    manifest_sha256: manifestSha256,
    config: jsonText(checkpoint.config ?? {}, "checkpoint.config"),
    training_metrics: jsonText(checkpoint.trainingMetrics ?? {}, "checkpoint.training_metrics"),
    bench: null,
    training_session_id: trainingSessionId === null ? null : newId(trainingSessionId, "checkpoint.training_session_id"),
    training_episodes: countOf(checkpoint.trainingEpisodes ?? 0, "checkpoint.training_episodes"),
    tag: null,
    is_active: 0,
    created_at: at,
    activated_at: null,
  };
  const stored = await database.db.transaction().execute(async (transaction) => {
    if (fence !== undefined) await requireHeld(transaction, database, fence);
    await transaction.insertInto("policy_checkpoints").values(row)
      .onConflict((conflict) => conflict.columns(["policy_type", "version"]).doNothing()).execute();
    return await transaction.selectFrom("policy_checkpoints").select("id").where("policy_type", "=", policyType)
      .where("version", "=", version).executeTakeFirst();
  });
  if (stored?.id !== id) {
    throw new RlcfError("usage", `cannot store checkpoint ${version} of ${policyType}: this version exists already`, {
      hint: "Choose a version that was never used.",
    });
  }
  return id;
}

/** The active checkpoint; see RLCFPersistence.getActivePolicy. */
export async function getActivePolicy({ db }: Database, policyType: string): Promise<PolicyCheckpoint | null> {
  const row = await db.selectFrom("policy_checkpoints").selectAll().where("policy_type", "=", policyType)
    .where("is_active", "=", 1).executeTakeFirst();
  return row === undefined ? null : checkpointFromRow(row);
}

/** One checkpoint; see RLCFPersistence.getPolicyCheckpoint. */
export async function getPolicyCheckpoint(
  { db }: Database,
  version: string,
  policyType: string,
): Promise<PolicyCheckpoint | null> {
  const row = await db.selectFrom("policy_checkpoints").selectAll().where("policy_type", "=", policyType)
    .where("version", "=", version).executeTakeFirst();
  return row === undefined ? null : checkpointFromRow(row);
}

/** All checkpoints, newest first; see RLCFPersistence.listPolicyCheckpoints. */
export async function listPolicyCheckpoints({ db }: Database, policyType?: string): Promise<PolicyCheckpoint[]> {
  const rows = await db.selectFrom("policy_checkpoints").selectAll()
    .$if(policyType !== undefined, (query) => query.where("policy_type", "=", policyType!))
    .orderBy("created_at", "desc").orderBy("id", "desc").execute();
  return rows.map(checkpointFromRow);
}

/** Names a checkpoint; see RLCFPersistence.tagPolicyCheckpoint. */
export async function tagPolicyCheckpoint(
  { db }: Database,
  version: string,
  policyType: string,
  tag: string | null,
): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable("policy_checkpoints").set({ tag: optionalName(tag, "tag") })
    .where("policy_type", "=", policyType).where("version", "=", version).executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Keeps a benchmark's result; see RLCFPersistence.savePolicyBench. */
export async function savePolicyBench(
  { db }: Database,
  version: string,
  policyType: string,
  bench: JsonObject,
): Promise<boolean> {
  const { numUpdatedRows } = await db.updateTable("policy_checkpoints").set({ bench: jsonText(bench, "bench") })
    .where("policy_type", "=", policyType).where("version", "=", version).executeTakeFirstOrThrow();
  return numUpdatedRows > 0n;
}

/** Removes rows that are neither active nor tagged; see RLCFPersistence.deletePolicyCheckpoints. */
export async function deletePolicyCheckpoints(
  database: Database,
  policyType: string,
  versions: readonly string[],
  fence: LeaseHolder | undefined,
): Promise<string[]> {
  if (versions.length === 0) return [];
  return await database.db.transaction().execute(async (transaction) => {
    if (fence !== undefined) await requireHeld(transaction, database, fence);
    await transaction.deleteFrom("policy_checkpoints").where("policy_type", "=", policyType)
      .where("version", "in", versions).where("is_active", "=", 0).where("tag", "is", null).execute();
    // What is left decides, not what this attempt removed: one before it may have succeeded unheard. What that one removed
    // would not do either: it may have been rolled back, and a version activated since.
    const left = await transaction.selectFrom("policy_checkpoints").select("version")
      .where("policy_type", "=", policyType).where("version", "in", versions).execute();
    const spared = new Set(left.map(({ version }) => version));
    return versions.filter((version) => !spared.has(version));
  });
}

/**
 * Makes a version the active one; see RLCFPersistence.activatePolicy. Activations of one type wait for each other, so
 * that each entry of the history starts where the one before it ended. The active version again adds no entry.
 */
export async function activatePolicy(
  database: Database,
  version: string,
  policyType: string,
  why: { by?: string; reason?: string },
  { at: activatedAt, fence, again }: Writer & { readonly again: boolean },
): Promise<boolean> {
  const by = nameOf(why.by ?? "unknown", "by");
  const reason = why.reason === undefined || why.reason === "" ? "" : nameOf(why.reason, "reason", Infinity);
  return await database.db.transaction().execute(async (transaction) => {
    await database.serialize(transaction, `activate ${policyType}`);
    if (fence !== undefined) await requireHeld(transaction, database, fence);
    const rows = await transaction.selectFrom("policy_checkpoints").select(["version", "is_active"])
      .where("policy_type", "=", policyType)
      .where((eb) => eb.or([eb("version", "=", version), eb("is_active", "=", 1)])).execute();
    const target = rows.find((row) => row.version === version);
    if (target === undefined) return false;
    if (target.is_active === 1) return true;
    // The first attempt may have succeeded unheard, and others may have activated since: theirs is the last word.
    if (again && await isInHistory(transaction, { policyType, version, by, activatedAt })) return true;
    const ofType = transaction.updateTable("policy_checkpoints").where("policy_type", "=", policyType);
    await ofType.set({ is_active: 0 }).where("is_active", "=", 1).execute();
    await ofType.set({ is_active: 1, activated_at: activatedAt }).where("version", "=", version).execute();
    await transaction.insertInto("policy_activations").values({
      policy_type: policyType,
      from_version: rows.find((row) => row.is_active === 1)?.version ?? null,
      to_version: version,
      activated_at: activatedAt,
      activated_by: by,
      reason,
    }).execute();
    return true;
  });
}

/** The history, newest first; see RLCFPersistence.listActivations. */
export async function listActivations(
  { db }: Database,
  policyType: string,
  limit = Infinity,
): Promise<PolicyActivation[]> {
  const rows = await db.selectFrom("policy_activations").selectAll().where("policy_type", "=", policyType)
    .orderBy("sequence", "desc").limit(limitOf(limit, "limit")).execute();
  return rows.map((row) => ({
    policyType: row.policy_type,
    fromVersion: row.from_version,
    toVersion: row.to_version,
    activatedAt: row.activated_at,
    activatedBy: row.activated_by,
    reason: row.reason,
  }));
}

async function isInHistory(
  transaction: Transaction<Tables>,
  entry: { readonly policyType: string; readonly version: string; readonly by: string; readonly activatedAt: string },
): Promise<boolean> {
  const row = await transaction.selectFrom("policy_activations").select("sequence")
    .where("policy_type", "=", entry.policyType).where("to_version", "=", entry.version)
    .where("activated_at", "=", entry.activatedAt).where("activated_by", "=", entry.by).executeTakeFirst();
  return row !== undefined;
}

function checkpointFromRow(row: Selectable<CheckpointTable>): PolicyCheckpoint {
  return {
    id: row.id,
    version: row.version,
    policyType: row.policy_type,
    parentVersion: row.parent_version,
    stateDictPath: row.state_dict_path,
    manifestSha256: row.manifest_sha256,
    config: JSON.parse(row.config) as JsonObject,
    trainingMetrics: JSON.parse(row.training_metrics) as JsonObject,
    bench: row.bench === null ? null : JSON.parse(row.bench) as JsonObject,
    trainingSessionId: row.training_session_id,
    trainingEpisodes: row.training_episodes,
    tag: row.tag,
    isActive: row.is_active === 1,
    createdAt: row.created_at,
    activatedAt: row.activated_at,
  };
}
