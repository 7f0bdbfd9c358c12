/**
 * What a report calls things, which depends on what the policy decides.
 *
 * @module
 */

/** The words for one type of policy. */
export interface Vocabulary {
  /** One thing that it can choose, e.g. `expert`. */
  readonly choice: string;
  /** The same with its article. */
  readonly oneChoice: string;
  /** Before the names of all that it can choose, e.g. `Routes to`. */
  readonly decides: string;
  /** Title of the section on how often it chooses what. */
  readonly sharesTitle: string;
  /** What the shares are, up to `on the ... of the log`. */
  readonly sharesOf: string;
  /** What one entry of the log is called; singular and plural. */
  readonly entry: readonly [string, string];
  /** What a value means. */
  readonly value: string;
  /** What the doubly robust estimate does. */
  readonly doublyRobust: string;
  /** Why single queries are not shown before and after; null where they are. */
  readonly noChanges: string | null;
  /** What no log of this kind can say. */
  readonly limits: readonly string[];
}

const ROUTING: Vocabulary = {
  choice: "expert",
  oneChoice: "an expert",
  decides: "Routes to",
  sharesTitle: "Who gets the queries",
  sharesOf: "The share of the routing that each expert gets",
  entry: ["answered query", "answered queries"],
  value: "The mean score, from 0 (useless) to 1 (perfect), that users would give if all queries were routed this way",
  doublyRobust:
    "Doubly robust: a model of the scores predicts what each routing would have earned, and the logged feedback " +
    "corrects the model where the routing agrees with what was tried.",
  noChanges: null,
  limits: [],
};

const ACTING: Vocabulary = {
  choice: "action",
  oneChoice: "an action",
  decides: "Chooses among",
  sharesTitle: "Which actions are taken",
  sharesOf: "The share of the steps in which each action is taken, in the states",
  entry: ["episode", "episodes"],
  value:
    "The mean return of an episode, that is the score that users give to its answer, from 0 (useless) to 1 (perfect), " +
    "less what its steps cost, if the agent always acted this way",
  doublyRobust:
    "Doubly robust, step by step: the critic's logged values predict what the rest of an episode earns, and what it did " +
    "earn corrects them where this policy would have acted as the log did.",
  noChanges:
    "Single queries are not shown for an agent: what it does next depends on what it has found before, so the states " +
    "of the log are not those that it would come to by itself.",
  limits: [
    "An episode counts by the product of its steps' probabilities: estimates for long episodes are worth little, and the " +
    "gate promotes nothing that rests on fewer than 30 effective episodes.",
    "Retrieval, reasoning and synthesis are not compared by level.",
  ],
};

const TRAVERSING: Vocabulary = {
  choice: "decision",
  oneChoice: "a decision",
  decides: "Decides between",
  sharesTitle: "How often relations are followed",
  sharesOf: "The share of the traversals that are followed or left",
  entry: ["traversal", "traversals"],
  value:
    "The mean score, from 0 (useless) to 1 (perfect), that users would give if one traversal of each answer were " +
    "decided this way and the others as they were",
  doublyRobust: ROUTING.doublyRobust,
  noChanges: "Single queries are not shown for traversals: one query has many, each of another relation.",
  limits: ["What several traversals decided otherwise would change together is not estimated."],
};

/** The words for a type of policy; those of the GatingPolicy for one that is not known. */
export function vocabularyOf(policyType: string): Vocabulary {
  return policyType === "react" ? ACTING : policyType === "traversal" ? TRAVERSING : ROUTING;
}
