/**
 * The top of a report: which version, what it was made of, and the verdict.
 *
 * @module
 */
import { type Markup, markup } from "../markup.ts";
import { counted, day, listed, moment, score, signed, whole } from "../numbers.ts";
import type { ReportData } from "../report_data.ts";
import { vocabularyOf } from "../vocabulary.ts";
import { headlineOf, statusOf } from "../words.ts";

/** What stands in front of a verdict, so that its colour is not needed. */
const SIGNS = { good: "✓", open: "○", bad: "✕" } as const;

/** The section. */
export function headlineSection(data: ReportData): Markup {
  const { version, recorded } = data;
  const headline = headlineOf(recorded);
  return markup`<header>
<p class="kicker">rlcf report · ${version.policyType} policy</p>
<h1>${version.version}</h1>
<div class="verdict ${headline.tone}">
<p class="verdict-title"><span aria-hidden="true">${SIGNS[headline.tone]}</span> ${headline.title}</p>
<p>${headline.meaning}</p>
<p>${statusOf(version)}</p>
</div>
${data.notes.map((note) => markup`<p class="note">${note}</p>`)}
${factsOf(data)}
${verdictDetails(data)}
</header>`;
}

function factsOf({ version, recorded, log }: ReportData): Markup {
  const { session } = version;
  const trained = [
    session !== null && session.episodes > 0 && counted(session.episodes, ...vocabularyOf(version.policyType).entry) +
      " with feedback",
    recorded.epochs !== null && `${counted(recorded.epochs, "pass", "passes")} over them`,
    recorded.holdout !== null && `${whole(recorded.holdout)} more held out to judge by`,
  ].filter((text) => text !== false);
  const facts: [string, string][] = [
    ["Made", moment(version.createdAt)],
    ["Trained from", version.parentVersion ?? "fresh weights"],
    [
      "Trained on",
      trained.length > 0
        ? trained.join(", ")
        : version.trainingEpisodes > 0
        ? `${whole(version.trainingEpisodes)} episodes visited`
        : "not on record",
    ],
    ["Objective", recorded.objective?.replaceAll("_", " ") ?? "not on record"],
    [vocabularyOf(version.policyType).decides, listed(version.experts)],
    ["Last activated", version.activatedAt === null ? "never" : moment(version.activatedAt)],
    ["Compared here on", `feedback ${log.since === null ? "" : `from ${day(log.since)} `}to ${day(log.until)}`],
    ["Fingerprint", version.sha256 === null ? "not on record" : `${version.sha256.slice(0, 16)}…`],
  ];
  return markup`<dl class="facts">${
    facts.map(([name, value]) => markup`<div><dt>${name}</dt><dd>${value}</dd></div>`)
  }</dl>`;
}

/** The gate's numbers, its warnings, and who decides. */
function verdictDetails({ recorded: { gate, activationReason, warnings } }: ReportData): Markup {
  return markup`${
    gate !== null && markup`<h2>The verdict in detail</h2>
<p>When it was trained, the gate said of this version: <q>${gate.reason}</q>.${
      activationReason !== null && !activationReason.includes(gate.reason) &&
      markup` What was done: ${activationReason}.`
    }</p>
${gate.total !== null && gate.rule === "paired" && levelsTable(gate)}
${
      gate.question !== null && gate.question > 1 &&
      markup`<p>It was challenger number ${gate.question} of ${gate.against}; each further challenger has to be surer, so that asking again and again cannot promote one by luck.</p>`
    }
${
      gate.feedbackNeeded !== null && gate.feedbackNeeded > 0 &&
      markup`<p>About ${whole(gate.feedbackNeeded)} more feedbacks would let a gain of 0.02 show.</p>`
    }
${
      gate.decisiveUsers.length > 0 &&
      markup`<p class="note">The verdict would be another without any single one of: ${
        gate.decisiveUsers.slice(0, 10).map((user, i) => [i > 0 && ", ", markup`<bdi>${user}</bdi>`])
      }${gate.decisiveUsers.length > 10 && ` and ${gate.decisiveUsers.length - 10} more`}.</p>`
    }`
  }
${
    warnings.map(({ name, message }) =>
      markup`<p class="note"><strong>${name.replaceAll("_", " ")}:</strong> ${message}.</p>`
    )
  }`;
}

function levelsTable(gate: NonNullable<ReportData["recorded"]["gate"]>): Markup {
  const rows = [{ level: "total", ...gate.total! }, ...gate.levels];
  return markup`<div class="scroll"><table>
<caption>Difference to ${gate.against}, with the bounds that the gate looks at${
    gate.levelMargin !== null && `; no level may fall by more than ${gate.levelMargin}`
  }</caption>
<thead><tr><th scope="col">Score</th><th scope="col" class="right">Difference</th><th scope="col" class="right">At least</th><th scope="col" class="right">At most</th></tr></thead>
<tbody>${
    rows.map(({ level, difference, lower, upper }) =>
      markup`<tr><th scope="row">${level}${gate.fallingLevels.includes(level) && " (falls)"}</th><td class="right">${
        signed(difference)
      }</td><td class="right">${signed(lower)}</td><td class="right">${signed(upper)}</td></tr>`
    )
  }</tbody></table></div>${
    gate.total !== null && gate.candidate !== null && gate.rival !== null &&
    markup`<p class="small">Then: ${score(gate.candidate)} against ${score(gate.rival)} of ${gate.against}${
      gate.rows !== null && `, on ${whole(gate.rows)} held-out episodes`
    }.</p>`
  }`;
}
