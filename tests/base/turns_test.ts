import assert from "node:assert/strict";
import { Turns } from "../../src/base/turns.ts";

Deno.test("timers have their turn once others have waited long enough, and not before", async () => {
  let rang = 0;
  const patient = new Turns(1e9);
  setTimeout(() => rang++);
  await patient.give();
  assert.equal(rang, 0);
  const hasty = new Turns(0);
  await hasty.give();
  assert.equal(rang, 1);
});
