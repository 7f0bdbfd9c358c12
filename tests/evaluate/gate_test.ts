import assert from "node:assert/strict";
import type { ValueEstimate } from "../../src/evaluate/estimators.ts";
import { decide, type Evidence } from "../../src/evaluate/gate.ts";

function valued(snips: number | null): ValueEstimate {
  return { snips, ips: snips ?? 0, effective_sample_size: 20, episodes: 40 };
}

const NOTHING: Evidence = { candidate: null, active: null, activeVersion: null, logged: null };

/** Evidence, whether the gate opens, and what the reason must say. */
const table: [string, Partial<Evidence>, boolean, RegExp][] = [
  [
    "better than the active policy",
    { candidate: valued(0.8), active: valued(0.7), activeVersion: "v1.0.0", logged: 0.9 },
    true,
    /^activated: estimated value 0\.800 against 0\.700 of the active v1\.0\.0 on 40 held-out episodes$/,
  ],
  [
    "as good as the active policy",
    { candidate: valued(0.7), active: valued(0.7), activeVersion: "v1.0.0" },
    true,
    /^activated: estimated value 0\.700 against 0\.700/,
  ],
  [
    "worse than the active policy",
    { candidate: valued(0.69), active: valued(0.7), activeVersion: "v1.0.0", logged: 0.1 },
    false,
    /^not activated: estimated value 0\.690 against 0\.700 of the active v1\.0\.0/,
  ],
  [
    "better than the log, with nothing active",
    { candidate: valued(0.8), logged: 0.7 },
    true,
    /^activated: estimated value 0\.800 against 0\.700 of the logged routing/,
  ],
  [
    "worse than the log, with nothing active",
    { candidate: valued(0.6), logged: 0.7 },
    false,
    /^not activated: estimated value 0\.600 against 0\.700 of the logged routing/,
  ],
  [
    "an active policy that cannot be estimated",
    { candidate: valued(0.2), active: null, activeVersion: "v1.0.0", logged: 0.9 },
    true,
    /^activated: estimated value 0\.200 .*the active v1\.0\.0 cannot be estimated there$/,
  ],
  [
    "an active policy that never does what was logged",
    { candidate: valued(0.2), active: valued(null), activeVersion: "v1.0.0" },
    true,
    /cannot be estimated there$/,
  ],
  [
    "a candidate that never does what was logged, with one active",
    { candidate: valued(null), active: valued(0.5), activeVersion: "v1.0.0" },
    false,
    /^not activated: the holdout says nothing about it, so v1\.0\.0 stays$/,
  ],
  [
    "a candidate that never does what was logged, with nothing active",
    { candidate: valued(null), logged: 0.5 },
    true,
    /^activated: it is the first version, although the holdout says nothing about it$/,
  ],
  ["no holdout, with nothing active", {}, true, /^activated: it is the first version, although nothing was held out/],
  [
    "no holdout, with one active",
    { activeVersion: "v1.0.0" },
    false,
    /^not activated: nothing was held out to judge it by, so v1\.0\.0 stays$/,
  ],
];

for (const [name, evidence, activate, reason] of table) {
  Deno.test(`the gate ${activate ? "opens" : "stays shut"}: ${name}`, () => {
    const verdict = decide("gated", { ...NOTHING, ...evidence });
    assert.equal(verdict.activate, activate);
    assert.match(verdict.reason, reason);
  });
}

Deno.test("always activates and never does not, whatever the evidence", () => {
  for (const [, evidence] of table) {
    const [always, never] = [
      decide("always", { ...NOTHING, ...evidence }),
      decide("never", { ...NOTHING, ...evidence }),
    ];
    assert.equal(always.activate, true);
    assert.equal(never.activate, false);
    assert.match(always.reason, /^activated without asking: checkpoint\.activate is always$/);
    assert.match(never.reason, /^not activated: checkpoint\.activate is never$/);
  }
});
