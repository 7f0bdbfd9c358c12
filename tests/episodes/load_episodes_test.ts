import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { loadEpisodes } from "../../src/episodes/load_episodes.ts";
import { MultilevelFeedback } from "../../src/feedback/multilevel_feedback.ts";
import type { RLCFPersistence, TrainingRow, TrainingWindow } from "../../src/store/persistence.ts";
import { drawnRow, episodesOf, OPTIONS } from "./rows.ts";

const WINDOW: TrainingWindow = { since: null, until: "2026-01-01T00:00:00.000Z", maxFeedback: 100 };

/** A store that holds only a log; `late` rows arrive between counting and reading. */
function storeOf(rows: readonly TrainingRow[], late: readonly TrainingRow[] = []): RLCFPersistence {
  const counted = rows.length;
  const store: Partial<RLCFPersistence> = {
    dialect: "sqlite",
    countTrainingRows: ({ maxFeedback }) => Promise.resolve(Math.min(counted, maxFeedback)),
    async *readTrainingRows({ maxFeedback }, options): AsyncGenerator<readonly TrainingRow[]> {
      const all = [...late, ...rows].slice(0, maxFeedback);
      for (let i = 0; i < all.length; i += 2) {
        await Promise.resolve();
        // Each embedding in memory of its own, as the store gives them: the loader lets go of it.
        yield all.slice(i, i + 2).map(({ feedback, ...row }) => {
          const own = { ...row, embedding: row.embedding && row.embedding.slice() };
          return options?.withFeedback ? { ...own, feedback: feedback! } : own;
        });
      }
    },
  };
  return store as RLCFPersistence;
}

const feedback = new MultilevelFeedback({ queryId: "q", reasoningFeedback: { logicalCoherence: 1 } });
const rows = ["a", "b", "c"].map((traceId, i) => drawnRow({ traceId, queryId: `q${i}`, score: i / 4, feedback }));

Deno.test("every page of the window is read", async () => {
  const found = await loadEpisodes(storeOf(rows), WINDOW, { ...OPTIONS, scoring: "given" });
  assert.deepEqual(found, episodesOf(rows));
});

Deno.test("the original's scoring takes the place of the stored score", async () => {
  const found = await loadEpisodes(storeOf(rows), WINDOW, { ...OPTIONS, scoring: "merlt" });
  assert.deepEqual(found.rewards, new Float64Array(3).fill(feedback.overallScore({ scoring: "merlt" })));
});

Deno.test("feedback that arrives between counting and reading is left for the next session", async () => {
  const late = [drawnRow({ traceId: "late", queryId: "late" })];
  const found = await loadEpisodes(storeOf(rows, late), WINDOW, { ...OPTIONS, scoring: "given" });
  assert.equal(found.size, 3);
});

Deno.test("a page's embeddings are let go of once they lie in the set", async () => {
  const pages: TrainingRow[][] = [];
  const store = storeOf(rows);
  const read = store.readTrainingRows.bind(store);
  store.readTrainingRows = async function* (...args): AsyncGenerator<readonly TrainingRow[], void> {
    for await (const page of read(...args)) {
      pages.push([...page]);
      yield page;
    }
  };
  assert.deepEqual(await loadEpisodes(store, WINDOW, { ...OPTIONS, scoring: "given" }), episodesOf(rows));
  assert.deepEqual(pages.flat().map(({ embedding }) => embedding?.length), [0, 0, 0]);
});

Deno.test("an empty window gives an empty set", async () => {
  const found = await loadEpisodes(storeOf([]), WINDOW, { ...OPTIONS, scoring: "given" });
  assert.deepEqual([found.size, found.embeddings.length, found.skipped], [0, 0, {}]);
});

/** Embeddings of many megabytes: some rows on one trace, some that cannot be used. */
const wide = { ...OPTIONS, inputDim: 5000 };
const wideRows = Array.from({ length: 900 }, (_, i) =>
  drawnRow({
    traceId: `t${i % 11 === 0 ? 0 : i}`,
    queryId: `q${i}`,
    score: i / 900,
    userAuthority: i % 7 === 0 ? 0 : 1,
    embedding: new Float32Array(i % 13 === 0 ? 4999 : 5000).fill(i + 1),
  }));

Deno.test("a set of many megabytes holds every embedding that was read", async () => {
  const found = await loadEpisodes(storeOf(wideRows), { ...WINDOW, maxFeedback: 1000 }, { ...wide, scoring: "given" });
  const wanted = episodesOf(wideRows, wide);
  assert.deepEqual({ ...found, embeddings: null }, { ...wanted, embeddings: null });
  assert.ok(Buffer.from(found.embeddings.buffer).equals(Buffer.from(wanted.embeddings.buffer)));
});

Deno.test("no embedding is lost to memory that is prepared late", async () => {
  const openSync = Deno.openSync;
  let reads = 0;
  // In place of /dev/zero: zeros that are written some turns of the event loop after they were asked for.
  const late: Pick<Deno.FsFile, "read" | "close"> = {
    async read(bytes): Promise<number> {
      reads++;
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
      bytes.fill(0);
      return bytes.length;
    },
    close: () => {},
  };
  Deno.openSync = () => late as Deno.FsFile;
  try {
    const few = wideRows.slice(0, 700);
    const found = await loadEpisodes(storeOf(few), { ...WINDOW, maxFeedback: 1000 }, { ...wide, scoring: "given" });
    const wanted = episodesOf(few, wide);
    assert.ok(Buffer.from(found.embeddings.buffer).equals(Buffer.from(wanted.embeddings.buffer)));
    if (navigator.hardwareConcurrency > 1 && Deno.build.os !== "windows") assert.ok(reads > 0);
  } finally {
    Deno.openSync = openSync;
  }
});

Deno.test("a store that fails in the middle of many megabytes leaves nothing open", async () => {
  const store = storeOf(wideRows);
  const read = store.readTrainingRows.bind(store);
  store.readTrainingRows = async function* (...args): AsyncGenerator<readonly TrainingRow[], void> {
    let rows = 0;
    for await (const page of read(...args)) {
      if ((rows += page.length) > 600) throw new Error("the disk is gone");
      yield page;
    }
  };
  const window = { ...WINDOW, maxFeedback: 1000 };
  await assert.rejects(loadEpisodes(store, window, { ...wide, scoring: "given" }), /the disk is gone/);
});
