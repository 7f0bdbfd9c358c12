/**
 * Reads the feedback of a window from the store into a {@link TrajectorySet}.
 *
 * @module
 */
import type { Scoring } from "../feedback/scoring.ts";
import type { RLCFPersistence, TrainingWindow } from "../store/persistence.ts";
import { type TrajectoryOptions, type TrajectorySet, TrajectorySetBuilder } from "./trajectory_set.ts";

/** Reads a window page by page; the window's limit counts all feedback, also that on traces without ReAct steps. */
export async function loadTrajectories(
  store: RLCFPersistence,
  window: TrainingWindow,
  options: TrajectoryOptions & { readonly scoring: Scoring },
): Promise<TrajectorySet> {
  const builder = new TrajectorySetBuilder(options);
  // The stored score is the `given` one; MERL-T's rule needs the numbers themselves.
  const withFeedback = options.scoring === "merlt";
  for await (const page of store.readTrajectoryRows(window, { withFeedback })) {
    for (const row of page) {
      builder.add(
        row.feedback === undefined ? row : { ...row, score: row.feedback.overallScore({ scoring: "merlt" }) },
      );
    }
  }
  return builder.build();
}
