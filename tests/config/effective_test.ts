import { deepEqual, equal } from "node:assert/strict";
import { effectiveConfig } from "../../src/config/effective.ts";
import { resolveConfig } from "../../src/config/resolve.ts";
import { settings } from "../../src/config/schema.ts";
import { resolveText } from "./support.ts";

Deno.test("the table of the configuration has a row for every setting, in the order of the file", () => {
  deepEqual(effectiveConfig(resolveConfig({})).map(({ key }) => key), [...settings.keys()]);
});

Deno.test("a row tells the value, where it comes from, its unit and its meaning", () => {
  const rows = effectiveConfig(
    resolveText("database:\n  lookback_days: 90\n", { flags: { "checkpoint.activate": "never" } }),
  );
  deepEqual(rows.find(({ key }) => key === "database.lookback_days"), {
    key: "database.lookback_days",
    value: 90,
    source: "file c.yaml:2",
    unit: "days",
    help: settings.get("database.lookback_days")!.help,
  });
  deepEqual(rows.find(({ key }) => key === "checkpoint.activate"), {
    key: "checkpoint.activate",
    value: "never",
    source: "flag --no-activate",
    unit: "",
    help: settings.get("checkpoint.activate")!.help,
  });
});

Deno.test("the table shows no password; the configuration keeps it", () => {
  const resolved = resolveText("database:\n  url: postgresql://u:unseen@h/db\n");
  equal(resolved.config.database.url, "postgresql://u:unseen@h/db");
  equal(effectiveConfig(resolved).find(({ key }) => key === "database.url")!.value, "postgresql://u:***@h/db");
  equal(JSON.stringify(effectiveConfig(resolved)).includes("unseen"), false);
});
