/**
 * A report as one HTML file that needs nothing else: no network, no scripts, no fonts, no pictures.
 *
 * @module
 */
import { markup, trusted } from "./markup.ts";
import { moment } from "./numbers.ts";
import type { ReportData } from "./report_data.ts";
import { changesSection } from "./sections/changes.ts";
import { dataSection } from "./sections/data_quality.ts";
import { headlineSection } from "./sections/headline.ts";
import { learningSection } from "./sections/learning.ts";
import { routingSection } from "./sections/routing.ts";
import { valueSection } from "./sections/value.ts";
import { STYLE } from "./style.ts";

/** The second line of every report, by which an existing file is known to be one. */
export const REPORT_MARKER = "<!-- written by rlcf report -->";

type Terms = readonly (readonly [term: string, meaning: string])[];

/** What the policy does, by type. */
const OWN_TERMS: Readonly<Record<string, Terms>> = {
  gating: [
    ["Expert", "One of the ways in which the assistant can answer, such as literal or systemic interpretation."],
    ["Routing", "How the policy divides queries among the experts: a probability for each expert on each query."],
    ["Value", "The mean score that users would give if every query were routed this way."],
  ],
  react: [
    ["Episode", "All that an agent does on one query: one action after another, until it answers or gives up."],
    ["Routing", "Here: how the policy divides its steps among the actions, a probability for each in each state."],
    ["Value", "The mean return: the score of an answer, less what its steps cost."],
  ],
  traversal: [
    ["Traversal", "A relation of the knowledge graph that could be followed from where a query stands."],
    ["Routing", "Here: the probability with which each relation is followed."],
    ["Value", "The mean score that users would give if one traversal of each answer were decided this way."],
  ],
};

/** The terms that every report uses, for those who meet them here first. */
const TERMS: Terms = [
  ["Held out", "Set aside before training. What a version never saw can judge it fairly."],
  [
    "95% interval",
    "Where the value would lie in 95 of 100 repetitions with other people of the same kind. Wide intervals mean little data.",
  ],
  [
    "Effective episodes",
    "How many equally informative answers the held-out feedback amounts to for this routing. Fewer, the more it differs " +
    "from the routing in the log.",
  ],
  [
    "Gate",
    "The rule that decides whether a new version may replace the active one: only if it is better by more than chance " +
    "explains, and no level of quality falls. It promotes a version that is no better in less than 2.5% of cases.",
  ],
];

/** The whole page. */
export function reportPage(data: ReportData): string {
  const { version, policyType } = data.version;
  // The policy forbids whatever could leave the page, should a script or a link ever find its way in.
  return markup`<!doctype html>
${trusted(REPORT_MARKER)}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${policyType} ${version} · rlcf report</title>
<style>${trusted(STYLE)}</style>
</head>
<body>
<main>
${headlineSection(data)}
${valueSection(data)}
${learningSection(data)}
${routingSection(data)}
${changesSection(data)}
${dataSection(data)}
<section aria-labelledby="terms">
<h2 id="terms">Terms</h2>
<dl class="terms">${
    [...OWN_TERMS[policyType] ?? [], ...TERMS].map(([term, meaning]) =>
      markup`<div><dt>${term}</dt><dd>${meaning}</dd></div>`
    )
  }</dl>
</section>
<footer><p>Written ${
    moment(data.writtenAt)
  } from ${data.location}. This page holds the texts of real queries: keep it as confidential as the log itself.</p></footer>
</main>
</body>
</html>
`.text;
}
