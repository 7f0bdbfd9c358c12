/**
 * Who gets the queries, before and after.
 *
 * @module
 */
import { barChart } from "../charts/bar_chart.ts";
import { type Markup, markup } from "../markup.ts";
import { counted, percent } from "../numbers.ts";
import type { ReportData, Role } from "../report_data.ts";
import { vocabularyOf } from "../vocabulary.ts";
import { nameOf } from "../words.ts";

/** The section. */
export function routingSection({ routing, version, log }: ReportData): Markup {
  const words = vocabularyOf(version.policyType);
  if (routing.length === 0) {
    return markup`<section aria-labelledby="routing"><h2 id="routing">${words.sharesTitle}</h2>
<p>The log of this window has no queries to route.</p></section>`;
  }
  const texts = routing.map(({ shares }) => shares.map(percent));
  return markup`<section aria-labelledby="routing">
<h2 id="routing">${words.sharesTitle}</h2>
<p>${words.sharesOf}, on the ${counted(log.episodes, ...words.entry)} of the log.</p>
<ul class="legend">${routing.map((series) => markup`<li>${swatch(series.role)} ${nameOf(series)}</li>`)}</ul>
<figure>${
    barChart(
      {
        id: "routing-chart",
        title: `Share of each ${words.choice} under each routing`,
        description: version.experts.map((expert, e) =>
          `${expert}: ${routing.map((series, s) => `${texts[s]![e]} (${nameOf(series)})`).join(", ")}`
        ).join(". "),
      },
      version.experts,
      routing.map(({ role, shares }, s) => ({ role, shares, texts: texts[s]! })),
    )
  }</figure>
</section>`;
}

/** A small sample of a bar. */
function swatch(role: Role): Markup {
  return markup`<svg class="swatch" viewBox="0 0 22 12" aria-hidden="true"><rect class="bar ${role}" x="1" y="1" width="20" height="10"${
    role === "previous" && markup` fill="url(#routing-chart-hatch)"`
  }/></svg>`;
}
