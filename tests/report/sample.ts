/**
 * A report's data as a session on a small log would leave them.
 *
 * @module
 */
import { recordedOf } from "../../src/report/recorded.ts";
import type { ReportData } from "../../src/report/report_data.ts";

/** What `training_metrics` of a trained version hold. */
export const METRICS = {
  objective: "doubly_robust",
  epochs: 3,
  num_updates: 90,
  warnings: [{ name: "entropy_collapse", message: "the mean entropy of the routing is 0.001" }],
  activation_reason: "not activated, v1.0.0 stays: the difference can be chance",
  curve: { episodes: [40, 80, 120], loss: [-0.1, -0.2, -0.3], entropy: [1.2, 0.9, 0.4], grad_norm: [1, 0.5, 0.2] },
  evaluation: {
    holdout: 50,
    logged_value: 0.5,
    active_version: "v1.0.0",
    candidate: { doubly_robust: 0.7, intervals: { doubly_robust: [0.6, 0.8] }, effective_sample_size: 30 },
    active: { doubly_robust: 0.69, intervals: { doubly_robust: null }, effective_sample_size: 31 },
    gate: {
      verdict: "hold",
      rule: "paired",
      against: "v1.0.0",
      method: "doubly_robust",
      candidate: 0.7,
      rival: 0.69,
      total: { difference: 0.01, lower: -0.02, upper: 0.04, standard_error: 0.01, rows: 50 },
      levels: { retrieval: { difference: 0.02, lower: -0.01, upper: 0.05 }, reasoning: null, synthesis: null },
      falling_levels: [],
      level_margin: 0.05,
      question: 2,
      alpha: 0.004,
      decisive_users: ["lawyer-1"],
      feedback_needed: 1200,
      reason: "the difference can be chance",
    },
  },
} as const;

/** The data, changed as a test needs them. */
export function sampleReport(change: Partial<ReportData> = {}): ReportData {
  return {
    version: {
      version: "v1.0.1",
      policyType: "gating",
      isActive: false,
      createdAt: "2025-12-30T09:00:00.000Z",
      activatedAt: null,
      parentVersion: "v1.0.0",
      trainingEpisodes: 120,
      sha256: "ab".repeat(32),
      experts: ["literal", "systemic"],
      session: { id: "s", episodes: 40, feedback: 90 },
    },
    previous: "v1.0.0",
    recorded: recordedOf(METRICS),
    value: {
      source: "now",
      method: "doubly_robust",
      episodes: 50,
      notIdentified: [],
      rows: [
        { role: "logged", version: null, value: 0.5, interval: [0.45, 0.55], effective: null },
        { role: "previous", version: "v1.0.0", value: 0.69, interval: null, effective: 31 },
        { role: "version", version: "v1.0.1", value: 0.7, interval: [0.6, 0.8], effective: 30 },
      ],
    },
    routing: [
      { role: "logged", version: null, shares: [0.5, 0.5] },
      { role: "previous", version: "v1.0.0", shares: [0.4, 0.6] },
      { role: "version", version: "v1.0.1", shares: [0.998, 0.002] },
    ],
    changes: {
      against: "previous",
      mean: 0.2,
      queries: 80,
      otherExpert: 9,
      most: [{
        queryIds: ["q1", "q2"],
        text: "Cosa si intende per legittima difesa?",
        change: 0.7,
        before: [0.2, 0.8],
        after: [0.9, 0.1],
        answers: [{ expert: "literal", propensity: 0.25, score: 0.9 }, { expert: null, propensity: null, score: 0.4 }],
        moreAnswers: 3,
      }],
    },
    log: {
      since: "2025-11-30T09:00:00.000Z",
      until: "2025-12-30T09:00:00.000Z",
      available: 100,
      limit: 100,
      used: 90,
      skipped: { no_embedding: 7, unknown_expert: 3 },
      episodes: 90,
      queries: 80,
      holdout: 50,
      mix: "sampled",
      deterministic: false,
      minPropensity: 0.06,
      extremeShare: 0.02,
      loggedShares: [0.5, 0.5],
      users: 4,
      anonymous: 2,
      busiestShare: 0.5,
      disagreement: { answers: 12, spread: 0.08, reward_spread: 0.21 },
      judged: { retrieval: 1, reasoning: 0.4, synthesis: 0 },
    },
    notes: [],
    writtenAt: "2025-12-30T10:00:00.000Z",
    location: "sqlite:///log.db",
    ...change,
  };
}
