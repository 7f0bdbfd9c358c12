import assert from "node:assert/strict";
import { runDemo } from "../../src/simulate/demo.ts";
import { settings } from "../session/support.ts";

Deno.test("the demonstration trains a policy that earns more than even routing and less than the oracle", async () => {
  const root = await Deno.makeTempDir({ prefix: "rlcf-demo-" });
  try {
    const { config, configJson } = settings(root, {
      "training.epochs": 6,
      "database.url": `sqlite:///${root}/demo.db`,
    });
    const { active_version, table, report } = await runDemo({ config, configJson, episodes: 600, testQueries: 400 });
    assert.equal(report.version, "v1.0.0");
    assert.equal(active_version, report.activated ? "v1.0.0" : null);
    assert.deepEqual(table.map(({ routing }) => routing), [
      "uniform",
      "logging, as it drew",
      "v1.0.0, drawn",
      "v1.0.0, most likely expert",
      "oracle",
    ]);
    const [uniform, logging, drawn, likeliest, oracle] = table.map(({ value }) => value) as [
      number,
      number,
      number,
      number,
      number,
    ];
    assert.ok(Math.abs(oracle - 0.96) < 1e-9 && Math.abs(uniform - 0.64) < 1e-9);
    const least = logging + 0.1;
    assert.ok(drawn > least && likeliest > least && Math.max(drawn, likeliest) < oracle, JSON.stringify(table));
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
