/**
 * The names that the original's agent and graph use: defaults of the configuration and of the policies.
 *
 * @module
 */

/** The actions of the original's agent, in its order. */
export const REACT_ACTIONS: readonly string[] = [
  "search_knowledge_graph",
  "read_article",
  "get_related_articles",
  "search_precedents",
  "extract_principle",
  "final_answer",
  "stop_and_summarize",
];

/** The relations of the original's graph, in its order. */
export const RELATION_TYPES: readonly string[] = [
  "RIFERIMENTO",
  "CITATO_DA",
  "MODIFICA",
  "MODIFICATO_DA",
  "DEROGA",
  "DEROGATO_DA",
  "ABROGATO_DA",
  "ABROGA",
  "INTERPRETED_BY",
  "RELATED_TO",
  "APPLIES_TO",
];
