/**
 * Reads the feedback of a window from the store into an {@link EpisodeSet}.
 *
 * @module
 */
import type { Scoring } from "../feedback/scoring.ts";
import type { RLCFPersistence, TrainingRow, TrainingWindow } from "../store/persistence.ts";
import {
  type EpisodeOptions,
  type EpisodeSet,
  EpisodeSetBuilder,
  type SkipCounts,
  type SkipReason,
  SkipRules,
} from "./episode_set.ts";
import { MemoryAhead } from "./memory_ahead.ts";

/** Reads a window page by page; the embeddings land in their final place and are held once. */
export async function loadEpisodes(
  store: RLCFPersistence,
  window: TrainingWindow,
  options: EpisodeOptions & { readonly scoring: Scoring },
): Promise<EpisodeSet> {
  const count = await store.countTrainingRows(window);
  const builder = new EpisodeSetBuilder(count, options);
  // PostgreSQL's own process keeps a second core busy meanwhile.
  await using memory = store.dialect === "sqlite" ? MemoryAhead.of(builder.memory) : undefined;
  // The stored score is the `given` one; MERL-T's rule needs the numbers themselves.
  const withFeedback = options.scoring === "merlt";
  // Feedback of the past may arrive between counting and reading; there is no room for it, and it can wait.
  for await (const page of store.readTrainingRows({ ...window, maxFeedback: count }, { withFeedback })) {
    await memory?.reach((builder.size + page.length) * options.inputDim);
    for (const row of page) {
      builder.add(
        row.feedback === undefined ? row : { ...row, score: row.feedback.overallScore({ scoring: "merlt" }) },
      );
    }
    giveBack(page);
  }
  return builder.build();
}

/**
 * Lets go of a page's embeddings, which were copied or counted by now; their arrays are empty afterwards. The collector would
 * come later, when a hundred megabytes have piled up, and the system takes longer to hand out new memory than SQLite to
 * fill it.
 */
function giveBack(page: readonly TrainingRow[]): void {
  for (const { embedding } of page) {
    if (embedding?.buffer instanceof ArrayBuffer) embedding.buffer.transfer(0);
  }
}

/** What a window holds, as `rlcf train` would find it. */
export interface UsableRows {
  /** Feedback rows in the window, usable or not. */
  readonly available: number;
  /** Feedback rows that training would use. */
  readonly usable: number;
  /** The others, by reason. */
  readonly skipped: SkipCounts;
}

/** Counts a window by the rules of {@link loadEpisodes}; only one page of it is held at a time. */
export async function countUsable(
  store: RLCFPersistence,
  window: TrainingWindow,
  options: EpisodeOptions,
): Promise<UsableRows> {
  const skipped: Partial<Record<SkipReason, number>> = {};
  const rules = new SkipRules(options);
  const traces = new Set<string>();
  let [available, usable] = [0, 0];
  for await (const page of store.readTrainingRows(window)) {
    for (const row of page) {
      available++;
      const reason = rules.reasonToSkip(row, traces.has(row.traceId));
      if (reason === undefined) {
        usable++;
        traces.add(row.traceId);
      } else skipped[reason] = (skipped[reason] ?? 0) + 1;
    }
    giveBack(page);
  }
  return { available, usable, skipped };
}
