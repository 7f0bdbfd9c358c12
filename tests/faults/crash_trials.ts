/**
 * One crash after another: a command is started again and again on the same database and killed at random moments, and
 * after every kill the invariants are checked.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import { recordOf } from "../cli/support.ts";
import {
  age,
  assertSound,
  CrashSite,
  type Dialect,
  drawMoment,
  type Killed,
  settled,
  type Standing,
} from "./crash_support.ts";

/** What a series of kills met. */
export interface CrashCounts {
  /** Processes killed. */
  killed: number;
  /** Processes that ended before the signal came. */
  finished: number;
  /** Kills by what they left behind or the stage in which they came. */
  readonly stages: Record<string, number>;
}

/** A series of kills. */
export interface CrashSeries {
  readonly dialect: Dialect;
  /** Kills to make. */
  readonly kills: number;
  /** Seed of the moments. */
  readonly seed: number;
  /** Told after every process. */
  readonly onTrial?: ((counts: CrashCounts) => void) | undefined;
  /** Ends the series after the current process. */
  readonly signal?: AbortSignal | undefined;
}

/** A log of 60 records and many saves in little time; a tenth of a second passes between the first and the last. */
const TRAINING = "  epochs: 12\n  batch_size: 8";
const CHECKPOINT = "  activate: always\n  save_frequency: 4\n  keep_last_n: 2";
const RECORDS = 60;
/** What `train` says as soon as its session is open. */
const SESSION_OPEN = "episodes to train on";

/** Kills `train`, now and then `train --resume`; ends with one that is left to finish. */
export async function killTrain(series: CrashSeries): Promise<CrashCounts> {
  const random = new Random(series.seed);
  const counts: CrashCounts = { killed: 0, finished: 0, stages: {} };
  await using site = await CrashSite.open(series.dialect, TRAINING, CHECKPOINT);
  await fill(site, 0, RECORDS);
  // The first run of a program is slower than all that follow.
  await timed(site, ["train"]);
  const { startMs, workMs } = await timed(site, ["train"], SESSION_OPEN);
  let before: Standing = await assertSound(site, undefined);
  assert.equal(before.traces, RECORDS);
  for (let trial = 0; counts.killed < series.kills && series.signal?.aborted !== true; trial++) {
    const resume = await canResume(site) && random.uniform() < 0.6;
    // Three of four come while the session is open: the start of a process is long and leaves little to break.
    const moment = random.uniform() < 0.75
      ? drawMoment(random, workMs, SESSION_OPEN)
      : drawMoment(random, startMs + 0.2 * workMs);
    const killed = await site.kill(["train", ...resume ? ["--resume"] : []], moment);
    await settled(site);
    const after = await assertSound(site, before);
    assert.ok(after.running <= 1, "a dead session was not marked by the next");
    if (!killed.killed) assertEnded(killed, resume);
    note(counts, killed, stageOf(killed, before, after));
    age(site, after.temporaries);
    await site.expireLease();
    before = after;
    series.onTrial?.(counts);
  }
  const last = await site.run(["train", "--json"]);
  assert.equal(last.code, 0, last.stderr);
  const after = await assertSound(site, before);
  assert.deepEqual([after.running, after.temporaries], [0, []], "what the dead left was not cleared up");
  return counts;
}

/** Whether the latest session ended before its time and left something saved, as far as the rows tell. */
async function canResume(site: CrashSite): Promise<boolean> {
  return await site.count(
    `select count(*) from policy_checkpoints where version like '%-ep.%' and training_session_id =
      (select id from training_sessions where status <> 'completed' order by started_at desc limit 1)`,
  ) > 0;
}

/** `--resume` has nothing to take up where the latest session completed or died early; anything else must succeed. */
function assertEnded({ code, stderr }: Killed, resume: boolean): void {
  if (resume && code === 2) assert.match(stderr, /error: cannot resume/);
  else assert.equal(code, 0, stderr);
}

/** In words, what a process was doing when it was killed, as far as what it left tells. */
function stageOf({ killed, stderr }: Killed, before: Standing, after: Standing): string {
  if (!killed) return "ended by itself";
  if (!stderr.includes(SESSION_OPEN)) return "before the session was open";
  const left = after.temporaries.filter((name) => !before.temporaries.includes(name));
  if (left.some((name) => name.includes("trash"))) return "while removing an old version";
  if (left.length > 0) return "while writing a version's files";
  if (after.unknown.length > before.unknown.length) return "between files and row";
  if (after.active !== before.active) return "after the activation";
  const fresh = after.versions.filter((version) => !before.versions.includes(version));
  if (fresh.some((version) => !version.includes("-ep."))) return "between the final row and the activation";
  return fresh.length > 0 ? "in a pass, after a save" : "in a pass, before a save";
}

/** Lines of one ingested file: three transactions. */
const LINES = 1200;
const BATCH = 500;

/** Kills `ingest` of files that are new each time; every file is ingested to its end by the next command. */
export async function killIngest(series: CrashSeries): Promise<CrashCounts> {
  const random = new Random(series.seed);
  const counts: CrashCounts = { killed: 0, finished: 0, stages: {} };
  await using site = await CrashSite.open(series.dialect, TRAINING, CHECKPOINT);
  const file = writeLog(site, 0, LINES);
  const { workMs } = await timed(site, ["ingest", file]);
  let before = await assertSound(site, undefined);
  for (let trial = 1; counts.killed < series.kills && series.signal?.aborted !== true; trial++) {
    const path = writeLog(site, trial * LINES, LINES);
    const killed = await site.kill(["ingest", path], drawMoment(random, 1.1 * workMs));
    await settled(site);
    const after = await assertSound(site, before);
    const stored = after.traces - before.traces;
    assert.ok(stored % BATCH === 0 || stored === LINES, `${stored} of ${LINES} stored: half a transaction`);
    assert.equal(after.feedback - before.feedback, stored, "each trace came with its feedback");
    if (!killed.killed) assert.equal(killed.code, 0, killed.stderr);
    note(counts, killed, killed.killed ? `${stored} of ${LINES} records stored` : "ended by itself");
    const again = await site.run(["ingest", path, "--json"]);
    assert.equal(again.code, 0, again.stderr);
    const { traces, feedback, duplicates } = JSON.parse(again.stdout);
    assert.deepEqual([traces, feedback, duplicates], [LINES - stored, LINES - stored, 2 * stored]);
    before = await assertSound(site, after);
    Deno.removeSync(path);
    series.onTrial?.(counts);
  }
  return counts;
}

/** The length of a command's phases here, before and after a text on stderr, from a run that is left to finish. */
async function timed(site: CrashSite, args: readonly string[], text?: string): Promise<Killed> {
  const ended = await site.kill(args, { after: text, delayMs: 60_000 });
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

function note(counts: CrashCounts, { killed }: Killed, stage: string): void {
  if (killed) counts.killed++;
  else counts.finished++;
  counts.stages[stage] = (counts.stages[stage] ?? 0) + 1;
}

async function fill(site: CrashSite, first: number, records: number): Promise<void> {
  const { code, stderr } = await site.run(["ingest", writeLog(site, first, records)]);
  assert.equal(code, 0, stderr);
}

/** A file of records that no other has. */
function writeLog(site: CrashSite, first: number, records: number): string {
  const lines = Array.from({ length: records }, (_, i) => `${JSON.stringify(recordOf(first + i))}\n`);
  return site.place.write(`log-${first}.jsonl`, lines.join(""));
}
