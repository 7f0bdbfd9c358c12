/**
 * The queries whose routing changes most, with what people thought of their answers.
 *
 * @module
 */
import { changeChart } from "../charts/change_chart.ts";
import { mark } from "../charts/marks.ts";
import { type Markup, markup, quoted } from "../markup.ts";
import { counted, percent, score, whole } from "../numbers.ts";
import { vocabularyOf } from "../vocabulary.ts";
import type { ChangeFacts, LoggedAnswer, QueryChange, ReportData, Role } from "../report_data.ts";

/** The section. */
export function changesSection({ changes, version, previous }: ReportData): Markup {
  const { noChanges } = vocabularyOf(version.policyType);
  return markup`<section aria-labelledby="changes">
<h2 id="changes">Where the routing changes most</h2>
${
    changes === null && noChanges !== null
      ? markup`<p>${noChanges}</p>`
      : changes === null
      ? markup`<p>The log of this window has no queries to compare the routings on.</p>`
      : markup`<p>${introduction(changes, previous)}</p>
<ul class="legend"><li>${sample("logged")} before</li><li>${sample("version")} ${version.version}</li></ul>
<ol class="changes">${changes.most.map((change, i) => item(change, i, version.experts))}</ol>`
  }
</section>`;
}

/** A mark for the legend. */
function sample(role: Role): Markup {
  return markup`<svg class="sample" viewBox="0 0 16 16" aria-hidden="true">${mark(role, 8, 8)}</svg>`;
}

function introduction({ against, mean, queries, otherExpert, most }: ChangeFacts, previous: string | null): string {
  const basis = {
    previous:
      `Compared with ${previous}. The change is the share of a query's answers that would come from another expert`,
    mixtures:
      "Compared with the mixtures in the log. The change is the share of a query's answer that would come from " +
      "another expert",
    propensities:
      "No version before this one can be compared, and the log holds only the probability of the expert that " +
      "was drawn; the change is that expert's, and the whole one may be larger. A question mark stands for weights that the log does not hold",
  }[against];
  const others = otherExpert === null
    ? ""
    : ` The most likely expert is another one on ${whole(otherExpert)} of ${counted(queries, "query", "queries")}.`;
  return `${basis}. On average it is ${percent(mean)}.${others} Here are the ${
    counted(most.length, "query", "queries")
  } that change most.`;
}

function item(change: QueryChange, i: number, experts: readonly string[]): Markup {
  const { queryIds, text, before, after } = change;
  const drawn = change.answers[0];
  const old = experts.map((expert, e) =>
    before?.[e] ?? (before === null && expert === drawn?.expert ? drawn.propensity : null)
  );
  const rows = experts.map((name, e) => ({
    name,
    before: old[e]!,
    after: after[e]!,
    text: `${old[e] === null ? "?" : percent(old[e]!)} → ${percent(after[e]!)}`,
  }));
  return markup`<li>
<div class="query">
<p class="query-text">${text === null ? markup`<em>no text was stored</em>` : quoted(text)}</p>
<p class="small">${quoted(queryIds[0]!, 80)}${
    queryIds.length > 1 && ` and ${counted(queryIds.length - 1, "more id")}`
  } · change <strong>${percent(change.change)}</strong></p>
<ul class="answers">${change.answers.map((answer) => markup`<li>${answerText(answer)}</li>`)}${
    change.moreAnswers > 0 && markup`<li>and ${counted(change.moreAnswers, "more answer")}</li>`
  }</ul>
</div>
<div class="weights">${
    changeChart(
      {
        id: `change-${i + 1}`,
        title: `Routing of query ${i + 1} before and after`,
        description: rows.map(({ name, text }) => `${name}: ${text}`).join(", "),
      },
      rows,
    )
  }</div>
</li>`;
}

function answerText({ expert, propensity, score: value }: LoggedAnswer): Markup {
  return expert === null
    ? markup`Several experts answered; users gave <strong>${score(value)}</strong>`
    : markup`<bdi>${expert}</bdi> answered (drawn with ${percent(propensity!)}); users gave <strong>${
      score(value)
    }</strong>`;
}
