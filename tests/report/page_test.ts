import assert from "node:assert/strict";
import { REPORT_MARKER, reportPage } from "../../src/report/page.ts";
import { recordedOf } from "../../src/report/recorded.ts";
import type { ReportData } from "../../src/report/report_data.ts";
import { METRICS, sampleReport } from "./sample.ts";
import { readMarkup } from "./well_formed.ts";

Deno.test("a page is well formed, tells what it should, and is marked as a report", () => {
  const page = reportPage(sampleReport());
  const { text } = readMarkup(page);
  assert.ok(page.slice(0, 256).includes(REPORT_MARKER));
  for (
    const part of [
      "Not shown to be better than v1.0.0",
      "0.700 (0.600 to 0.800)",
      "About 1,200 more feedbacks would let a gain of 0.02 show",
      "lawyer-1",
      "100, the newest; what is older is not read here",
      "Cosa si intende per legittima difesa?",
      "literal answered (drawn with 25%); users gave 0.900",
      "20% → 90%",
      "the query was stored without an embedding",
      "Nobody judged synthesis separately",
      "One person speaks for 50% of the answers",
      "12 answers were judged by several people, who differ by 0.080 about one answer",
    ]
  ) assert.ok(text.includes(part), part);
});

Deno.test("a page needs nothing from elsewhere and runs nothing", () => {
  const page = reportPage(sampleReport());
  const { elements, attributes } = readMarkup(page);
  for (const name of ["script", "link", "img", "iframe", "object", "form", "a", "foreignObject"]) {
    assert.ok(!elements.includes(name), name);
  }
  for (const name of attributes) assert.ok(!/^(on|src|href|style)/.test(name), name);
  assert.doesNotMatch(page, /url\((?!#)|@import|https?:/);
  assert.match(page, /Content-Security-Policy" content="default-src 'none'/);
});

Deno.test("no text that somebody else wrote becomes an element, wherever it stands", () => {
  const evil = `"'><script>alert(1)</script><img src=x onerror=alert(2)>`;
  // Every text of the data, including those that the program wrote itself, except the words it decides by.
  const kept = new Set(["logged", "previous", "version", "now", "sampled", "hold", "paired"]);
  const poisoned = (value: unknown, key = ""): unknown => {
    if (typeof value === "string") return kept.has(value) || /At$|since|until/.test(key) ? value : `${value}${evil}`;
    if (Array.isArray(value)) return value.map((entry) => poisoned(entry));
    if (typeof value !== "object" || value === null) return value;
    const isNames = key === "skipped" || key === "judged";
    return Object.fromEntries(
      Object.entries(value).map(([name, entry]) => [isNames ? `${name}${evil}` : name, poisoned(entry, name)]),
    );
  };
  const clean = readMarkup(reportPage(sampleReport()));
  const page = reportPage(poisoned(sampleReport()) as ReportData);
  const { elements, text } = readMarkup(page);
  assert.deepEqual(new Set(elements), new Set(clean.elements));
  assert.doesNotMatch(page, /<script|<img/);
  assert.ok(text.includes(`legittima difesa?${evil}`));
  assert.ok(text.includes(`lawyer-1${evil}`));
});

Deno.test("a version without metrics, previous version or log still has a page", () => {
  const sample = sampleReport();
  const page = reportPage(sampleReport({
    version: { ...sample.version, parentVersion: null, sha256: null, session: null, trainingEpisodes: 0 },
    previous: null,
    recorded: recordedOf({}),
    value: null,
    routing: [],
    changes: null,
    log: {
      ...{ ...sample.log, since: null, available: 0, used: 0, skipped: {}, episodes: 0, queries: 0, holdout: 0 },
      ...{ mix: "empty", minPropensity: null, extremeShare: null, users: 0, anonymous: 0, busiestShare: null },
      disagreement: null,
    },
    notes: ["The previous version is gone."],
  }));
  const { text } = readMarkup(page);
  assert.match(text, /No verdict on record/);
  assert.match(text, /The previous version is gone\./);
  assert.match(text, /No learning curves were recorded/);
  assert.doesNotMatch(page, /undefined|NaN|null/);
});

Deno.test("every verdict has words of its own", () => {
  const gate = METRICS.evaluation.gate;
  const total = { ...gate.total, lower: 0.001 };
  const cases: [Record<string, unknown>, RegExp][] = [
    [{ verdict: "promote" }, /Better than v1\.0\.0/],
    [{ verdict: "reject" }, /Worse than v1\.0\.0/],
    [{ verdict: "reject", falling_levels: ["synthesis"], total }, /Better on the whole, but worse at synthesis/],
    [{ verdict: "promote", rule: "plain", against: null }, /First version: estimated above the logged routing/],
    [{ verdict: "hold", rule: "plain", against: null }, /First version: estimated below the logged routing/],
    [{ verdict: "promote", rule: "plain", against: null, total: null }, /A version that could not be judged/],
    [{ verdict: "hold", rule: "plain" }, /Cannot be compared with v1\.0\.0: estimated below/],
  ];
  for (const [change, wanted] of cases) {
    const recorded = recordedOf({ ...METRICS, evaluation: { ...METRICS.evaluation, gate: { ...gate, ...change } } });
    assert.match(readMarkup(reportPage(sampleReport({ recorded }))).text, wanted);
  }
});

Deno.test("where no number is identified the page says why, and an expert that never answered is named", () => {
  const sample = sampleReport();
  const { text } = readMarkup(reportPage(sampleReport({
    value: { ...sample.value!, method: "direct", notIdentified: ["systemic was never used in the log"] },
    log: { ...sample.log, deterministic: true, loggedShares: [1, 0] },
  })));
  assert.match(text, /Not identified: systemic was never used in the log\./);
  assert.match(text, /systemic never answered in this log/);
  assert.match(text, /never tried a second expert/);
  assert.match(text, /the numbers are the model's alone/);
});
