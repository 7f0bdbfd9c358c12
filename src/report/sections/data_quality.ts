/**
 * What the log holds, and what it cannot say.
 *
 * @module
 */
import type { Disagreement } from "../../episodes/disagreement.ts";
import { type Markup, markup } from "../markup.ts";
import { counted, percent, whole } from "../numbers.ts";
import type { ReportData } from "../report_data.ts";
import { vocabularyOf } from "../vocabulary.ts";
import { limitsOf, logKindOf, skipReason } from "../words.ts";

/** The section. */
export function dataSection(data: ReportData): Markup {
  const { log } = data;
  const words = vocabularyOf(data.version.policyType);
  const facts: [string, string][] = [
    [
      "Feedback found",
      log.available < log.limit
        ? whole(log.available)
        : `${whole(log.available)}, the newest; what is older is not read here (--max-episodes)`,
    ],
    [
      "Feedback used",
      `${whole(log.used)} on ${counted(log.episodes, "answer")} to ${counted(log.queries, "query", "queries")}`,
    ],
    ["Held out", `${counted(log.holdout, "answer")}, chosen by the query alone, as in training`],
    ["Kind of log", logKindOf(log, words)],
    ...log.minPropensity === null ? [] : [[
      "Rarest draw",
      `${percent(log.minPropensity)}: the smallest probability with which ${words.oneChoice} was drawn`,
    ] as [string, string]],
    ...log.extremeShare === null ? [] : [[
      "Extreme weights",
      log.extremeShare === 0
        ? "none: no held-out answer stands for more than ten"
        : `${percent(log.extremeShare)} of the held-out answers stand for more than ten each`,
    ] as [string, string]],
    ["People", peopleOf(log)],
    ...log.disagreement === null ? [] : [["Agreement", agreementOf(log.disagreement)] as [string, string]],
    ...log.judged === null ? [] : [[
      "Levels judged",
      Object.entries(log.judged).map(([level, share]) => `${level} ${percent(share)}`).join(", "),
    ] as [
      string,
      string,
    ]],
  ];
  const skipped = Object.entries(log.skipped);
  return markup`<section aria-labelledby="data">
<h2 id="data">The data</h2>
<dl class="facts">${facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
${
    skipped.length > 0
      ? markup`<div class="scroll"><table><caption>Feedback left out</caption>
<thead><tr><th scope="col">Reason</th><th scope="col">What it means</th><th scope="col" class="right">Feedback</th></tr></thead>
<tbody>${
        skipped.map(([reason, number]) =>
          markup`<tr><th scope="row">${reason}</th><td>${skipReason(reason)}</td><td class="right">${
            whole(number)
          }</td></tr>`
        )
      }</tbody></table></div>`
      : log.available > 0 && markup`<p>No feedback was left out.</p>`
  }
${log.episodes > 0 && overlapTable(data)}
<h3>What this data cannot say</h3>
<ul>${limitsOf(data).map((limit) => markup`<li>${limit}</li>`)}</ul>
</section>`;
}

function overlapTable({ version, log, routing }: ReportData): Markup {
  const mine = routing.find(({ role }) => role === "version")?.shares;
  return markup`<div class="scroll"><table><caption>Overlap: does the log have what the routing wants?</caption>
<thead><tr><th scope="col">${
    capitalised(vocabularyOf(version.policyType).choice)
  }</th><th scope="col" class="right">In the log</th><th scope="col" class="right">Wanted by ${version.version}</th></tr></thead>
<tbody>${
    version.experts.map((expert, e) =>
      markup`<tr><th scope="row">${expert}</th><td class="right">${percent(log.loggedShares[e]!)}${
        log.loggedShares[e] === 0 && " (never)"
      }</td><td class="right">${mine === undefined ? "–" : percent(mine[e]!)}</td></tr>`
    )
  }</tbody></table></div>`;
}

function agreementOf({ answers, spread, reward_spread }: Disagreement): string {
  return `${counted(answers, "answer was", "answers were")} judged by several people, who differ by ` +
    `${spread.toFixed(3)} about one answer (standard deviation); all answers differ by ${reward_spread.toFixed(3)}`;
}

function peopleOf({ users, anonymous, busiestShare }: ReportData["log"]): string {
  const named = counted(users, "person", "people");
  const busiest = busiestShare === null ? "" : `; the busiest speaks for ${percent(busiestShare)} of the answers`;
  return `${named}${busiest}${anonymous > 0 ? `; ${counted(anonymous, "answer")} judged by nobody named` : ""}`;
}

function capitalised(word: string): string {
  return word[0]!.toUpperCase() + word.slice(1);
}
