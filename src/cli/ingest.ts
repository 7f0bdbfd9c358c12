/**
 * `rlcf ingest`: JSON lines become stored traces and feedback.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { RlcfError } from "../base/errors.ts";
import type { IngestRecord, RLCFPersistence } from "../store/persistence.ts";
import { command, configured, memoryNotice, openStore } from "./context.ts";
import { PartialFailure } from "./failure.ts";
import { checkReadable, linesOf, parseLine } from "./lines.ts";
import { Counter } from "./progress.ts";
import { Rejects } from "./rejects.ts";
import { count } from "./table.ts";
import { printResult, say } from "./terminal.ts";

/** Records stored in one transaction. */
const BATCH = 500;
/** Characters of lines stored in one transaction: a record takes several times as much while it waits. */
const BATCH_CHARACTERS = 16 * 1024 * 1024;

/** What `ingest` did; the field names are those of `--json`. */
interface IngestSummary {
  traces: number;
  feedback: number;
  duplicates: number;
  rejected: number;
}

/** The command. */
export function ingestCommand(): Command {
  const ingest = command("ingest", "store traces and feedback from JSON lines; storing a line twice adds nothing")
    .argument("<file...>", 'files of lines {"trace", "feedback"?, "user_id"?, ...}; - reads stdin')
    .option("--rejects <file>", "write lines that cannot be stored there, each with its number and the reason");
  ingest.action(async (files, options) => {
    await checkReadable(files);
    const resolved = await configured(options);
    await using store = await openStore(resolved);
    using rejects = new Rejects(options.rejects, files);
    const summary: IngestSummary = { traces: 0, feedback: 0, duplicates: 0, rejected: 0 };
    try {
      await storeLines(store, files, rejects, summary);
    } catch (thrown) {
      throw withProgress(thrown, summary);
    }
    rejects.sayRest();
    const notice = memoryNotice(store, resolved);
    if (notice !== undefined) say(`warning: nothing of this is kept: ${notice}`);
    const { traces, feedback, duplicates, rejected } = summary;
    if (rejected > 0 && traces + feedback + duplicates === 0) {
      const failure = new RlcfError("usage", `cannot store anything: all ${count(rejected)} lines were rejected`, {
        hint: "Each line is one whole JSON record; --rejects FILE keeps every line with its reason.",
      });
      throw new PartialFailure(failure, { ...summary });
    }
    if (options.json) return printResult(JSON.stringify(summary));
    say(
      `stored ${count(summary.traces)} traces and ${count(summary.feedback)} feedbacks in ${store.location}; ` +
        `${count(summary.duplicates)} were there already; ${count(summary.rejected)} lines were rejected`,
    );
    if (rejects.count > 0) {
      say(options.rejects === undefined ? "next: --rejects FILE keeps them" : `next: see ${options.rejects}`);
    }
  });
  return ingest as unknown as Command;
}

/** Stores the lines of all files, and counts in the summary what has been stored so far. */
async function storeLines(
  store: RLCFPersistence,
  files: readonly string[],
  rejects: Rejects,
  summary: IngestSummary,
): Promise<void> {
  const { ingestRecordFromJson } = await import("../store/ingest_line.ts");
  using counter = new Counter("lines");
  let lines = 0;
  let batch: IngestRecord[] = [];
  let characters = 0;
  const flush = async (): Promise<void> => {
    if (batch.length === 0) return;
    const counts = await store.ingest(batch);
    [batch, characters] = [[], 0];
    summary.traces += counts.traces;
    summary.feedback += counts.feedback;
    summary.duplicates += counts.duplicates;
    counter.update(lines);
  };
  for (const file of files) {
    for await (const line of linesOf(file)) {
      lines++;
      try {
        batch.push(ingestRecordFromJson(parseLine(line)));
        characters += line.text!.length;
      } catch (thrown) {
        if (!(thrown instanceof RlcfError)) throw thrown;
        counter.clear();
        rejects.add(line, thrown.message);
        summary.rejected = rejects.count;
      }
      if (batch.length >= BATCH || characters >= BATCH_CHARACTERS) await flush();
    }
  }
  await flush();
}

/** A failure in the middle says what is stored already, and that doing it again does no harm. */
function withProgress(thrown: unknown, { traces, feedback, duplicates }: IngestSummary): unknown {
  if (!(thrown instanceof RlcfError) || traces + feedback + duplicates === 0) return thrown;
  const stored = `${count(traces)} traces and ${count(feedback)} feedbacks were stored before; ` +
    "run the same command again to go on: what is stored already is not stored twice.";
  const hint = thrown.hint === undefined ? stored : `${thrown.hint} ${stored}`;
  return new RlcfError(thrown.code, thrown.message, { hint, cause: thrown });
}
