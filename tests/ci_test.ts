import { ok } from "node:assert/strict";
import { findGpuAdapter } from "../src/engine/devices.ts";
import { postgresForTests } from "./support/postgres.ts";

// Elsewhere a test that lacks a GPU or a server is ignored and says why. CI installs both, so there they must be found:
// otherwise a green run would hide that half of the suite did not run.
const ignore = Deno.env.get("CI") !== "true";

Deno.test({
  name: "CI has a WebGPU adapter, be it a software one",
  ignore,
  fn: async () => {
    const adapter = await findGpuAdapter();
    ok(!("missing" in adapter), JSON.stringify(adapter));
  },
});

Deno.test({
  name: "CI has a PostgreSQL server",
  ignore,
  fn: async () => {
    const server = await postgresForTests();
    ok(!("reason" in server), JSON.stringify(server));
  },
});
