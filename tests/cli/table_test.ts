import assert from "node:assert/strict";
import { signed } from "../../src/base/signed.ts";
import { decimals } from "../../src/cli/table.ts";
import { visible, visibleLine, withoutPasswords } from "../../src/cli/terminal.ts";

Deno.test("a difference has its sign and three decimals, a small one the two digits that count", () => {
  const texts: readonly [number, string][] = [
    [0.0214, "+0.021"],
    [-0.25, "-0.250"],
    [0.001, "+0.001"],
    [0.00099, "+0.00099"],
    [0.000996, "+0.0010"],
    [-0.00042, "-0.00042"],
    [0.0000123, "+0.000012"],
    [-3.2e-9, "-3.2e-9"],
    [0, "+0.000"],
    [-0, "+0.000"],
    [12.5, "+12.500"],
  ];
  for (const [value, text] of texts) assert.equal(signed(value), text);
  assert.equal(signed(0.004, 2), "+0.0040");
  assert.equal(decimals(null), "-");
});

Deno.test("control characters are spelled as JSON spells them, so that JSON means the same", () => {
  const data = { text: "\x1b[2J\x9b31m\x7f\u202e\u2066ok\tè🏴" };
  const json = visible(JSON.stringify(data));
  // deno-lint-ignore no-control-regex
  assert.ok(!/[\x00-\x1f\x7f-\x9f\u202e\u2066]/.test(json), json);
  assert.deepEqual(JSON.parse(json), data);
  assert.equal(visible("a\r\nb\tc"), "a\\u000d\nb\tc");
  assert.equal(visibleLine("a\nb"), "a\\nb");
});

Deno.test("a URL in a message keeps everything but its password", () => {
  assert.equal(
    withoutPasswords('no version postgresql://u:hunter2@h:5432/x in "postgres://v:a%40b@h/y", see https://h/x?a=b'),
    'no version postgresql://u:***@h:5432/x in "postgres://v:***@h/y", see https://h/x?a=b',
  );
  assert.equal(withoutPasswords("sqlite:////tmp/a:b@c.db"), "sqlite:////tmp/a:b@c.db");
});
