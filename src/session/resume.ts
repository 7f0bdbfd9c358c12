/**
 * Taking up an interrupted run where it stopped.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { expectNumber, expectObject, expectText, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { Disk } from "../checkpoint/files.ts";
import { isPeriodic } from "../checkpoint/version.ts";
import type { PolicyCheckpoint, RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import type { Remembered } from "./kinds/apprenticeship.ts";
import { readStored, type Stored } from "./open_policy.ts";
import { openSessions } from "./past_sessions.ts";
import type { TrainingWarning } from "./warnings.ts";

const log = getLogger(["rlcf", "session"]);

/** What a periodic version remembers about its run. */
export interface SavedRun<Cursor> {
  /** Where it stood. */
  readonly cursor: Cursor;
  /** The feedback that it reads. */
  readonly window: TrainingWindow;
  /** The final version that the run works towards. */
  readonly version: string;
  /** Fingerprint of the episodes. */
  readonly digest: string;
}

/** Where an interrupted run goes on. */
export interface ResumePoint<Saved, Cursor> extends SavedRun<Cursor> {
  /** What its checkpoint holds. */
  readonly saved: Saved;
  /** The version that it started from, or null for fresh weights. */
  readonly parentVersion: string | null;
  /** The sessions since the last one that completed: what they left unfinished may be replaced. */
  readonly sessions: ReadonlySet<string>;
  /** That it is not the newest of its saved states. */
  readonly warnings: readonly TrainingWarning[];
}

/** A run as JSON for the trainer's file; a cursor is plain JSON. */
export function runToJson<Cursor extends object>({ cursor, window, version, digest }: SavedRun<Cursor>): JsonObject {
  return {
    version,
    ...cursor,
    episodes_digest: digest,
    since: window.since,
    until: window.until,
    max_feedback: window.maxFeedback,
    policy_version: window.policyVersion ?? null,
  };
}

/**
 * The newest periodic version of the sessions since the last one that completed. A session that died before its first
 * save does not hide the one before it; where the files of a version are broken, the one before it of the same run is
 * taken, and what is lost is trained again.
 *
 * @param configJson the configuration in force; it must be the run's own
 * @throws RlcfError `usage` if there is nothing to take up or the settings differ; `checkpoint` if all of the run's
 * versions are broken
 */
export async function findResumePoint<Saved extends { readonly run: JsonObject }, Cursor>(
  store: RLCFPersistence,
  root: string,
  kind: Remembered<Saved, Cursor>,
  configJson: JsonObject,
  disk?: Disk,
): Promise<ResumePoint<Saved, Cursor>> {
  const { policyType } = kind;
  const { open, isFirst } = await openSessions(store, policyType);
  const hint = "Leave out --resume to start a new session.";
  if (open[0] === undefined) {
    const found = isFirst ? "there was no session yet" : "the latest session completed";
    throw new RlcfError("usage", `cannot resume: ${found}`, { hint });
  }
  const checkpoints = await store.listPolicyCheckpoints(policyType);
  const rows = open.flatMap(({ id }) =>
    checkpoints.filter(({ version, trainingSessionId }) => trainingSessionId === id && isPeriodic(version))
  );
  if (rows[0] === undefined) {
    throw new RlcfError("usage", `cannot resume: the session of ${open[0].startedAt} ended before its first save`, {
      hint,
    });
  }
  requireSameSettings(kind.decisiveSections, rows[0].config, configJson, rows[0].version);
  const ofRun = rows.filter(({ version }) => finalOf(version) === finalOf(rows[0]!.version));
  const { checkpoint: row, saved, warnings } = await newestIntact(ofRun, root, kind, disk);
  const run = { ...savedRunFrom(saved.run), cursor: kind.cursorFrom(saved.run) };
  const result = checkpoints.find(({ version }) => version === run.version);
  if (result !== undefined && await isInUse(store, result)) {
    throw new RlcfError("usage", `cannot resume ${run.version}: it is published and in use, so nothing is left to do`, {
      hint,
    });
  }
  return { ...run, saved, parentVersion: row.parentVersion, sessions: new Set(open.map(({ id }) => id)), warnings };
}

/** The first of a run's versions, newest first, whose files are intact, with a warning about those that are not. */
async function newestIntact<Saved extends { readonly run: JsonObject }, Cursor>(
  rows: readonly PolicyCheckpoint[],
  root: string,
  kind: Remembered<Saved, Cursor>,
  disk: Disk | undefined,
): Promise<Stored<Saved> & { readonly warnings: readonly TrainingWarning[] }> {
  let broken: RlcfError | undefined;
  for (const row of rows) {
    try {
      const stored = await readStored(row, root, (loaded) => kind.unpack(loaded), disk);
      if (broken === undefined) return { ...stored, warnings: [] };
      const message = `the newest saved state ${rows[0]!.version} cannot be used, so the run is taken up at ` +
        `${row.version}, and what was trained since then is trained again: ${broken.message}`;
      log.warn("checkpoint_fallback: {message}", { message });
      return { ...stored, warnings: [{ name: "checkpoint_fallback", message }] };
    } catch (thrown) {
      if (!(thrown instanceof RlcfError) || thrown.code !== "checkpoint") throw thrown;
      broken ??= thrown;
    }
  }
  throw broken!;
}

/** The final version that a periodic one was on the way to. */
function finalOf(version: string): string {
  return version.replace(/-ep\.\d+$/, "");
}

/** Whether a version is, or ever was, more than a file that nobody has used. */
async function isInUse(store: RLCFPersistence, checkpoint: PolicyCheckpoint): Promise<boolean> {
  if (checkpoint.isActive || checkpoint.tag !== null) return true;
  const activations = await store.listActivations(checkpoint.policyType);
  return activations.some(({ toVersion }) => toVersion === checkpoint.version);
}

/** Throws unless the window still holds the episodes that the run was trained on. */
export function checkSameLog(point: Pick<SavedRun<unknown>, "digest" | "version">, digest: string): void {
  if (digest === point.digest) return;
  throw new RlcfError("usage", `cannot resume ${point.version}: the log of its window has changed since it started`, {
    hint: "Feedback of that time was added or removed, so the run cannot go on bit for bit. Start a new session.",
  });
}

function savedRunFrom(json: JsonObject): Omit<SavedRun<unknown>, "cursor"> {
  const policyVersion = json.policy_version;
  return {
    version: expectText(json.version, "run.version"),
    digest: expectText(json.episodes_digest, "run.episodes_digest"),
    window: {
      since: json.since === null ? null : expectText(json.since, "run.since"),
      until: expectText(json.until, "run.until"),
      maxFeedback: expectNumber(json.max_feedback, "run.max_feedback", 1),
      ...(policyVersion === null ? {} : { policyVersion: expectText(policyVersion, "run.policy_version") }),
    },
  };
}

function requireSameSettings(
  sections: readonly string[],
  recorded: JsonObject,
  current: JsonObject,
  version: string,
): void {
  for (const name of sections) {
    const [then, now] = [expectObject(recorded[name], `config.${name}`), expectObject(current[name], name)];
    for (const key of new Set([...Object.keys(then), ...Object.keys(now)])) {
      const [found, wanted] = [JSON.stringify(now[key]), JSON.stringify(then[key])];
      if (found === wanted) continue;
      throw new RlcfError("usage", `cannot resume ${version}: ${name}.${key} is ${found}, but the run has ${wanted}`, {
        hint: "Give the run's own settings, or leave out --resume to start a new session.",
      });
    }
  }
}
