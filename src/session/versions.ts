/**
 * Publishing versions: files first, then the row that makes them known, then the removal of old periodic ones.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { JsonObject } from "../base/check.ts";
import { messageOf, RlcfError } from "../base/errors.ts";
import { type CheckpointContent, directoryName } from "../checkpoint/checkpoint.ts";
import { DISK, type Disk } from "../checkpoint/files.ts";
import { publishedVersions } from "../checkpoint/list.ts";
import { loadCheckpoint } from "../checkpoint/load.ts";
import type { EngineUsed } from "../checkpoint/manifest.ts";
import { publishCheckpoint } from "../checkpoint/publish.ts";
import { chooseExpired, manifestHash, removeCheckpoint, removeThisCheckpoint } from "../checkpoint/retention.ts";
import { nextPatch } from "../checkpoint/version.ts";
import { mayBeDone } from "../store/errors.ts";
import type { LeaseHolder, RLCFPersistence } from "../store/persistence.ts";
import type { TrainingState } from "../engine/engine.ts";
import type { SingleStepTrainer, TrainerState } from "../train/single_step_trainer.ts";
import { networkToJson, packPolicy, type SavedNetwork } from "./saved_policy.ts";
import { agentToJson, packReAct, type SavedAgent, type SavedReAct } from "./saved_react.ts";

const log = getLogger(["rlcf", "session"]);

/** What every version of a session has in common. */
export interface SessionContext {
  readonly store: RLCFPersistence;
  /** The checkpoint directory. */
  readonly root: string;
  /** What the checkpoint directory lies on. */
  readonly disk: Disk;
  readonly policyType: string;
  /** Whose versions these are: once another process holds the lease, the database takes no more of them. */
  readonly fence: LeaseHolder;
  readonly sessionId: string;
  readonly parentVersion: string | null;
  /** The configuration in force, snake_case, without secrets. */
  readonly config: JsonObject;
  /**
   * Sessions whose unfinished versions give way: the earlier ones of the run that is taken up, and those whose process lost
   * the lease without an end.
   */
  readonly predecessors: ReadonlySet<string>;
}

/** All that a checkpoint keeps of a policy of one network and its trainer, at one moment. */
export interface NetworkSnapshot {
  /** What the network is. */
  readonly network: SavedNetwork;
  /** What it was computed on. */
  readonly engine: EngineUsed;
  /** Weights and moments. */
  readonly state: TrainingState;
  /** Baseline and counters. */
  readonly trainer: TrainerState;
}

/** The same of a ReActPolicy. */
export interface AgentSnapshot extends Pick<SavedReAct, "actor" | "critic" | "trainer"> {
  /** What the networks are. */
  readonly agent: SavedAgent;
  /** What they were computed on. */
  readonly engine: EngineUsed;
}

/** All that a checkpoint keeps of a policy and its trainer, at one moment. */
export type Snapshot = NetworkSnapshot | AgentSnapshot;

/**
 * A copy of what the engine and the trainer hold now; training may go on while it is written.
 *
 * @param relations of a traversal policy
 * @param worn see `PolicyEngine.read`
 */
export async function snapshotOf(
  trainer: SingleStepTrainer,
  relations?: readonly string[],
  worn?: TrainingState,
): Promise<NetworkSnapshot> {
  const { engine, shape, experts } = trainer.policy;
  const { backend, device } = engine;
  const state = await engine.read(worn);
  // Engines whose copies come from elsewhere have no use for it.
  if (worn !== undefined && worn.parameters !== state.parameters) freeMemory(worn);
  return {
    network: { shape, experts, relations },
    engine: { backend, device },
    state,
    trainer: trainer.state,
  };
}

/** Lets go of a state's memory: copies come faster than the collector looks for what nobody needs any more. */
export function freeMemory(state: TrainingState): void {
  for (const { buffer } of [state.parameters, state.firstMoments, state.secondMoments]) {
    if (buffer instanceof ArrayBuffer && !buffer.detached) buffer.transfer(0);
  }
}

/** The engines' states in a snapshot. */
export function statesOf(snapshot: Snapshot): readonly TrainingState[] {
  return "agent" in snapshot ? [snapshot.actor, snapshot.critic] : [snapshot.state];
}

/** A snapshot as the parts of a checkpoint. */
function packed(snapshot: Snapshot, run: JsonObject): Pick<CheckpointContent, "network" | "policy" | "trainer"> {
  return "agent" in snapshot
    ? { network: agentToJson(snapshot.agent), ...packReAct(snapshot, run) }
    : { network: networkToJson(snapshot.network), ...packPolicy(snapshot.state, snapshot.trainer, run) };
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
  disk: Disk = DISK,
): Promise<string> {
  const rows = await store.listPolicyCheckpoints(policyType);
  return nextPatch([...rows.map((row) => row.version), ...await publishedVersions(root, policyType, disk)], parent);
}

/** Writes a version's files and then its row. The row is the commit: without it the files do not count. */
export async function publishVersion(context: SessionContext, version: NewVersion): Promise<PublishedVersion> {
  const { store, root, disk, policyType, sessionId, parentVersion, config } = context;
  const { snapshot } = version;
  await makeRoom(context, version.version);
  const { path, sha256 } = await publishCheckpoint(root, {
    policyType,
    version: version.version,
    parentVersion,
    createdAt: new Date().toISOString(),
    sessionId,
    engine: snapshot.engine,
    config,
    metrics: version.metrics,
    ...packed(snapshot, version.run),
  }, disk);
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
    }, { fence: context.fence });
  } catch (thrown) {
    if (!await isRecorded(context, version.version, { path, sha256 }, thrown)) throw thrown;
  }
  log.debug("published {policyType} {version} in {path}", { policyType, version: version.version, path });
  return { path, sha256 };
}

/**
 * Takes away what a killed process of the same run left under the name of a version, which is about to be computed
 * again bit for bit: files whose row was never stored, or a version that was never made use of. Everything else stays,
 * and publishing then refuses to overwrite it.
 */
async function makeRoom(
  { store, root, disk, policyType, fence, predecessors }: SessionContext,
  version: string,
): Promise<void> {
  if (predecessors.size === 0) return;
  const path = directoryName(policyType, version);
  // Of the files that are there while the lease is still ours; what a successor puts there later is not meant.
  const found = await manifestHash(root, path, disk);
  const row = await store.getPolicyCheckpoint(version, policyType);
  if (row === null) {
    if (!(await publishedVersions(root, policyType, disk)).includes(version)) return;
    // Other databases may share the directory: only what the manifest shows to be this run's is ours to remove.
    const { manifest } = await loadCheckpoint(root, path, found, disk);
    if (manifest.sessionId === null || !predecessors.has(manifest.sessionId)) return;
  } else {
    if (row.trainingSessionId === null || !predecessors.has(row.trainingSessionId)) return;
    if (!(await store.deletePolicyCheckpoints(policyType, [version], { fence })).includes(version)) return;
  }
  if (!await removeThisCheckpoint(root, path, found, () => hasNoRow(store, policyType, version), disk)) return;
  log.info("{version} was left unfinished by a process that ended; it is published again", { version });
}

/**
 * Whether the row of a version is stored although storing it failed: an answer can get lost on its way. Where it is
 * certain that it is not, and never will be, its files are removed. Else they stay, since a row without files would be a
 * broken version, and files without a row are only clutter: after an answer that was lost the row may still appear, and
 * where another process holds the lease the files may by now be its own.
 */
async function isRecorded(
  { store, root, disk, policyType }: SessionContext,
  version: string,
  { path, sha256 }: PublishedVersion,
  failure: unknown,
): Promise<boolean> {
  let reason = messageOf(failure);
  try {
    const row = await store.getPolicyCheckpoint(version, policyType);
    if (row?.manifestSha256 === sha256) {
      log.warn("{version} is stored, though the database said: {cause}", { version, cause: messageOf(failure) });
      return true;
    }
    const isSettled = failure instanceof RlcfError && failure.code !== "lease_held" && !mayBeDone(failure);
    if (
      isSettled && await removeThisCheckpoint(root, path, sha256, () => hasNoRow(store, policyType, version), disk)
    ) {
      return false;
    }
  } catch (second) {
    reason = messageOf(second);
  }
  log.warn("what lies in {path} stays there, though it may be in no row: {reason}", { path, reason });
  return false;
}

async function hasNoRow(store: RLCFPersistence, policyType: string, version: string): Promise<boolean> {
  return await store.getPolicyCheckpoint(version, policyType) === null;
}

/** Removes periodic versions beyond the newest `keepLastN`, but none that is or was last active, or tagged. */
export async function removeExpired(context: SessionContext, keepLastN: number): Promise<void> {
  const { store, root, disk, policyType } = context;
  const rows = await store.listPolicyCheckpoints(policyType);
  const [latest] = await store.listActivations(policyType, 1);
  const protectedVersions = [
    ...rows.filter((row) => row.isActive || row.tag !== null).map((row) => row.version),
    ...latest === undefined ? [] : [latest.toVersion, ...latest.fromVersion === null ? [] : [latest.fromVersion]],
  ];
  const expired = chooseExpired(rows, { keepLastN, protectedVersions });
  // Rows go first: a row without files would be a broken version, files without a row are only clutter.
  // Somebody may have activated or tagged one of them since they were listed: those rows stay, and so do their files.
  const gone = new Set(
    await store.deletePolicyCheckpoints(policyType, expired, { fence: context.fence }),
  );
  for (const row of rows) {
    if (!gone.has(row.version) || row.stateDictPath === null) continue;
    try {
      await removeCheckpoint(root, row.stateDictPath, disk);
    } catch (thrown) {
      // What is left is clutter; a session that has trained a version must not fail for it.
      if (!(thrown instanceof RlcfError)) throw thrown;
      log.warn("could not remove the files of {version}, which has expired: {cause}", {
        version: row.version,
        cause: thrown.message,
      });
    }
  }
}
