/**
 * Reads the feedback of a window from the store into an {@link EpisodeSet}.
 *
 * @module
 */
import type { Scoring } from "../feedback/scoring.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import { type EpisodeOptions, type EpisodeSet, EpisodeSetBuilder } from "./episode_set.ts";

/** Reads a window page by page; the embeddings land in their final place and are held once. */
export async function loadEpisodes(
  store: RLCFPersistence,
  window: TrainingWindow,
  options: EpisodeOptions & { readonly scoring: Scoring },
): Promise<EpisodeSet> {
  const count = await store.countTrainingRows(window);
  const builder = new EpisodeSetBuilder(count, options);
  // The stored score is the `given` one; MERL-T's rule needs the numbers themselves.
  const withFeedback = options.scoring === "merlt";
  // Feedback of the past may arrive between counting and reading; there is no room for it, and it can wait.
  for await (const page of store.readTrainingRows({ ...window, maxFeedback: count }, { withFeedback })) {
    for (const row of page) {
      builder.add(
        row.feedback === undefined ? row : { ...row, score: row.feedback.overallScore({ scoring: "merlt" }) },
      );
    }
  }
  return builder.build();
}
