/**
 * The GatingPolicy in a training session.
 *
 * @module
 */
import { gatingHint, readTrainingLog } from "../training_log.ts";
import { type RoutingKind, routingKind } from "./routing.ts";

/** How sessions train the GatingPolicy. */
export const GATING_KIND: RoutingKind = routingKind({
  policyType: "gating",
  decisiveSections: ["training", "gating_policy", "evaluation"],
  readLog: readTrainingLog,
  hintFor: gatingHint,
  fresh: ({ gatingPolicy: { inputDim, hiddenDim, experts, inputScale } }) => ({
    options: { inputDim, hiddenDim, experts, ...(inputScale === "auto" ? {} : { inputScale }) },
  }),
});
