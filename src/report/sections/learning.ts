/**
 * How training went.
 *
 * @module
 */
import { lineChart } from "../charts/line_chart.ts";
import { type Markup, markup } from "../markup.ts";
import { whole } from "../numbers.ts";
import type { ReportData } from "../report_data.ts";

/** The curves that are shown, in this order. */
const CURVES = [
  {
    name: "loss",
    title: "Loss",
    meaning: "What training makes small. It falls and levels off; from a trained parent it may be level at once.",
  },
  {
    name: "entropy",
    title: "Entropy (nats)",
    meaning: "How undecided the policy is: 0 means that it always chooses the same in the same place.",
  },
  {
    name: "grad_norm",
    title: "Gradient norm",
    meaning: "How strongly the feedback still pulls. A lasting rise means trouble.",
  },
  {
    name: "value_loss",
    title: "Critic's squared error",
    meaning: "How far the critic's values are from what the steps then earned.",
  },
  {
    name: "kl",
    title: "Distance from the log (nats)",
    meaning:
      "How far the policy has moved from the one that logged; react_policy.target_kl ends an update that goes further.",
  },
  {
    name: "baseline",
    title: "Reward baseline",
    meaning: "Moving mean of the scores trained on. It describes the log, and should not drift.",
  },
] as const;

/** The section. */
export function learningSection({ recorded: { curve, updates }, version }: ReportData): Markup {
  const shown = curve === null ? [] : CURVES.filter(({ name }) => curve.series[name] !== undefined);
  return markup`<section aria-labelledby="learning">
<h2 id="learning">How training went</h2>
${
    curve === null || shown.length === 0
      ? markup`<p>No learning curves were recorded with ${version.version}.</p>`
      : markup`<p>Each point is the mean over an equal number of steps; ${
        whole(curve.episodes.at(-1)!)
      } episodes were visited in all passes${
        updates !== null &&
        `, ${whole(updates)} ${
          version.policyType === "react" ? "updates" : "optimizer steps"
        } since the first version of this line`
      }.</p>
<div class="charts">${
        shown.map(({ name, title, meaning }) => {
          const values = curve.series[name]!;
          const [first, last] = [values[0]!, values.at(-1)!].map((value) => short(value));
          return markup`<figure><h3>${title}</h3>${
            lineChart(
              {
                id: `curve-${name.replaceAll("_", "-")}`,
                title: `${title} over the episodes visited`,
                description: `From ${first} to ${last}; lowest ${short(Math.min(...values))}, highest ${
                  short(Math.max(...values))
                }.`,
              },
              values.map((value, i) => [curve.episodes[i]!, value] as const),
              "episodes visited",
            )
          }<figcaption>${meaning} From ${first} to ${last}.</figcaption></figure>`;
        })
      }</div>`
  }
</section>`;
}

function short(value: number): string {
  return String(Number(value.toPrecision(3))).replace("-", "−");
}
