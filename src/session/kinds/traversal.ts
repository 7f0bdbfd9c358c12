/**
 * The TraversalPolicy in a training session: each traversal of the graph is a decision of its own, and all those of one
 * answer are judged by the answer's feedback.
 *
 * @module
 */
import { TRAVERSAL_CHOICES } from "../../policy/traversal_policy.ts";
import { readTraversalLog, traversalScale } from "../traversal_log.ts";
import { type RoutingKind, routingKind } from "./routing.ts";

/** What judging traversals one by one cannot say. */
export const TRAVERSAL_LIMITS: readonly string[] = [
  "each traversal is judged as if it alone were decided otherwise: what several together would change is not estimated",
  "a log that holds only relations that were followed cannot say what leaving one would have earned",
];

/** How sessions train the TraversalPolicy. */
export const TRAVERSAL_KIND: RoutingKind = routingKind({
  policyType: "traversal",
  decisiveSections: ["training", "gating_policy", "traversal_policy", "evaluation"],
  readLog: readTraversalLog,
  hintFor: (reason) => {
    switch (reason) {
      case "no_traversal":
        return "The traces hold no graph_traversal action: log one for every relation that was weighed.";
      case "no_embedding":
        return "Log the query's embedding as query_embedding in the metadata of the gating action or of the trace.";
      case "wrong_dimension":
        return "Set gating_policy.input_dim to the length of the logged embeddings.";
      default:
        return "See the README's table of skip reasons.";
    }
  },
  fresh: (config) => {
    const { relations, hiddenDim } = config.traversalPolicy;
    const { inputDim } = config.gatingPolicy;
    const options = {
      inputDim: inputDim + relations.length,
      hiddenDim,
      experts: TRAVERSAL_CHOICES,
      inputScale: traversalScale(config),
    };
    return { options, relations };
  },
  limits: TRAVERSAL_LIMITS,
});
