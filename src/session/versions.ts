/**
 * Publishing versions: files first, then the row that makes them known, then the removal of old periodic ones.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { JsonObject } from "../base/check.ts";
import { publishedVersions } from "../checkpoint/list.ts";
import { publishCheckpoint } from "../checkpoint/publish.ts";
import { chooseExpired, removeCheckpoint } from "../checkpoint/retention.ts";
import { nextPatch } from "../checkpoint/version.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { TrainingState } from "../engine/engine.ts";
import type { SingleStepTrainer, TrainerState } from "../train/single_step_trainer.ts";
import { networkToJson, packPolicy, type SavedNetwork } from "./saved_policy.ts";

const log = getLogger(["rlcf", "session"]);

/** What every version of a session has in common. */
export interface SessionContext {
  readonly store: RLCFPersistence;
  /** The checkpoint directory. */
  readonly root: string;
  readonly policyType: string;
  readonly sessionId: string;
  readonly parentVersion: string | null;
  /** The configuration in force, snake_case, without secrets. */
  readonly config: JsonObject;
}

/** All that a checkpoint keeps of a policy and its trainer, at one moment. */
export interface Snapshot {
  readonly network: SavedNetwork;
  readonly engine: { readonly backend: string; readonly device: string };
  readonly state: TrainingState;
  readonly trainer: TrainerState;
}

/** A copy of what the engine and the trainer hold now; training may go on while it is written. */
export async function snapshotOf(trainer: SingleStepTrainer): Promise<Snapshot> {
  const { engine, shape, experts } = trainer.policy;
  const { backend, device } = engine;
  return {
    network: { shape, experts },
    engine: { backend, device },
    state: await engine.read(),
    trainer: trainer.state,
  };
}

/** A version of a session. */
export interface NewVersion {
  readonly version: string;
  readonly snapshot: Snapshot;
  readonly metrics: JsonObject;
  /** Episodes visited so far. */
  readonly episodes: number;
  /** What a resumed run needs; empty for a final version. */
  readonly run: JsonObject;
}

/** Where a version was published. */
export interface PublishedVersion {
  readonly path: string;
  /** Hash of its manifest. */
  readonly sha256: string;
}

/**
 * The version that a new session works towards: one patch above every version of the parent's line that the database or
 * the checkpoint directory knows, so that nothing is overwritten even when several databases share a directory.
 */
export async function nextVersion(
  store: RLCFPersistence,
  root: string,
  policyType: string,
  parent: string | null,
): Promise<string> {
  const rows = await store.listPolicyCheckpoints(policyType);
  return nextPatch([...rows.map((row) => row.version), ...await publishedVersions(root, policyType)], parent);
}

/** Writes a version's files and then its row. The row is the commit: without it the files do not count. */
export async function publishVersion(context: SessionContext, version: NewVersion): Promise<PublishedVersion> {
  const { store, root, policyType, sessionId, parentVersion, config } = context;
  const { snapshot } = version;
  const { path, sha256 } = await publishCheckpoint(root, {
    policyType,
    version: version.version,
    parentVersion,
    createdAt: new Date().toISOString(),
    sessionId,
    engine: snapshot.engine,
    network: networkToJson(snapshot.network),
    config,
    metrics: version.metrics,
    ...packPolicy(snapshot.state, snapshot.trainer, version.run),
  });
  try {
    await store.savePolicyCheckpoint({
      version: version.version,
      policyType,
      parentVersion,
      stateDictPath: path,
      manifestSha256: sha256,
      config,
      trainingMetrics: version.metrics,
      trainingSessionId: sessionId,
      trainingEpisodes: version.episodes,
    });
  } catch (thrown) {
    await removeCheckpoint(root, path);
    throw thrown;
  }
  log.debug("published {policyType} {version} in {path}", { policyType, version: version.version, path });
  return { path, sha256 };
}

/** Removes periodic versions beyond the newest `keepLastN`, but none that is or was last active, or tagged. */
export async function removeExpired(context: SessionContext, keepLastN: number): Promise<void> {
  const { store, root, policyType } = context;
  const rows = await store.listPolicyCheckpoints(policyType);
  const [latest] = await store.listActivations(policyType, 1);
  const protectedVersions = [
    ...rows.filter((row) => row.isActive || row.tag !== null).map((row) => row.version),
    ...latest === undefined ? [] : [latest.toVersion, ...latest.fromVersion === null ? [] : [latest.fromVersion]],
  ];
  const expired = new Set(chooseExpired(rows, { keepLastN, protectedVersions }));
  // Rows go first: a row without files would be a broken version, files without a row are only clutter.
  await store.deletePolicyCheckpoints(policyType, [...expired]);
  for (const row of rows) {
    if (expired.has(row.version) && row.stateDictPath !== null) await removeCheckpoint(root, row.stateDictPath);
  }
}
