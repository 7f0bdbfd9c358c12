/**
 * What each routing is worth.
 *
 * @module
 */
import { intervalChart } from "../charts/interval_chart.ts";
import { type Markup, markup } from "../markup.ts";
import { counted, score, whole } from "../numbers.ts";
import type { ReportData, ValueFacts, ValueRow } from "../report_data.ts";
import { type Vocabulary, vocabularyOf } from "../vocabulary.ts";
import { methodOf, nameOf } from "../words.ts";

/** The section. */
export function valueSection({ value, version, recorded: { gate } }: ReportData): Markup {
  return markup`<section aria-labelledby="value">
<h2 id="value">What the routing is worth</h2>
${
    value === null
      ? markup`<p>No value is given: no feedback was held out that could judge this version.</p>`
      : valueBody(value, version.version, gate !== null, vocabularyOf(version.policyType))
  }
</section>`;
}

function valueBody(value: ValueFacts, version: string, isJudged: boolean, words: Vocabulary): Markup {
  const known = value.rows.filter((row) => row.value !== null);
  return markup`<p>${words.value}; estimated on ${counted(value.episodes, ...words.entry)} held out from training. ${
    value.source === "recorded"
      ? "As it was estimated when the version was trained; today's log has nothing to judge it by."
      : isJudged &&
        "These are estimates on the log as it is today; what the gate saw when the version was trained stands above."
  }</p>
<figure>${
    known.length > 0 && intervalChart(
      {
        id: "value-chart",
        title: `Estimated value of ${version} and what it is compared with`,
        description: known.map((row) => `${nameOf(row)}: ${textOf(row)}`).join(". "),
      },
      known.map((row) => ({
        role: row.role,
        name: nameOf(row),
        value: row.value!,
        interval: row.interval,
        text: textOf(row),
      })),
    )
  }
<figcaption>Lines are 95% intervals: resampling the people who gave the feedback moves the value so far. Intervals that overlap do not mean that nothing changed; the gate compares row by row, which is sharper.</figcaption></figure>
<div class="scroll"><table>
<thead><tr><th scope="col">Routing</th><th scope="col" class="right">Value</th><th scope="col" class="right">95% interval</th><th scope="col" class="right">Effective episodes</th></tr></thead>
<tbody>${
    value.rows.map((row) =>
      markup`<tr><th scope="row">${nameOf(row)}</th><td class="right">${score(row.value)}</td><td class="right">${
        intervalText(row)
      }</td><td class="right">${
        row.role === "logged" ? whole(value.episodes) : row.effective === null ? "–" : whole(row.effective)
      }</td></tr>`
    )
  }</tbody></table></div>
<p class="small">${methodOf(value.method, words)}</p>`;
}

function textOf(row: ValueRow): string {
  return row.interval === null ? score(row.value) : `${score(row.value)} (${intervalText(row)})`;
}

function intervalText({ interval }: ValueRow): string {
  return interval === null ? "–" : `${score(interval[0])} to ${score(interval[1])}`;
}
