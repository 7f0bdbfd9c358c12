/**
 * `rlcf ingest`: JSON lines become stored traces and feedback.
 *
 * @module
 */
import type { Command } from "@commander-js/extra-typings";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { IngestRecord, RLCFPersistence } from "../store/persistence.ts";
import { command, configured, openStore } from "./context.ts";
import { type Line, linesOf, parseLine } from "./lines.ts";
import { printResult, say, sayTable } from "./terminal.ts";

/** Records stored in one transaction. */
const BATCH = 500;
/** Bad lines told on stderr; the rest are only counted and go to the rejects file. */
const SHOWN_REJECTS = 5;

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
    const resolved = await configured(options);
    await using store = await openStore(resolved);
    const { ingestRecordFromJson } = await import("../store/ingest_line.ts");
    using rejects = new Rejects(options.rejects);
    const summary: IngestSummary = { traces: 0, feedback: 0, duplicates: 0, rejected: 0 };
    let batch: IngestRecord[] = [];
    for (const file of files) {
      for await (const line of linesOf(file)) {
        try {
          batch.push(ingestRecordFromJson(parseLine(line)));
        } catch (thrown) {
          if (!(thrown instanceof RlcfError)) throw thrown;
          rejects.add(line, thrown.message);
        }
        if (batch.length < BATCH) continue;
        await storeBatch(store, batch, summary);
        batch = [];
      }
    }
    await storeBatch(store, batch, summary);
    summary.rejected = rejects.count;
    if (options.json) return printResult(JSON.stringify(summary));
    sayTable(["stored", ""], Object.entries(summary));
    if (rejects.count > SHOWN_REJECTS && options.rejects === undefined) {
      say("--rejects FILE keeps the rejected lines with their reasons.");
    }
  });
  return ingest as unknown as Command;
}

async function storeBatch(
  store: RLCFPersistence,
  batch: readonly IngestRecord[],
  summary: IngestSummary,
): Promise<void> {
  if (batch.length === 0) return;
  const counts = await store.ingest(batch);
  summary.traces += counts.traces;
  summary.feedback += counts.feedback;
  summary.duplicates += counts.duplicates;
}

/** The lines that could not be stored. */
class Rejects implements Disposable {
  readonly #file: Deno.FsFile | undefined;
  #count = 0;

  /** Opens the file at once: better to fail before anything is stored. */
  constructor(path: string | undefined) {
    if (path === undefined) return;
    try {
      this.#file = Deno.openSync(path, { write: true, create: true, truncate: true });
    } catch (thrown) {
      throw new RlcfError("usage", `cannot write the rejected lines to ${path}: ${messageOf(thrown)}`, {
        cause: thrown,
      });
    }
  }

  get count(): number {
    return this.#count;
  }

  add(line: Line, reason: string): void {
    this.#count++;
    if (this.#count <= SHOWN_REJECTS) say(`${line.file}:${line.number}: ${reason}`);
    const record = JSON.stringify({ file: line.file, line: line.number, reason, text: line.text });
    const bytes = new TextEncoder().encode(`${record}\n`);
    for (let written = 0; this.#file !== undefined && written < bytes.length;) {
      written += this.#file.writeSync(bytes.subarray(written));
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}
