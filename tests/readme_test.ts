import { ok } from "node:assert/strict";
import { settings } from "../src/config/schema.ts";

const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
/** The rows of all tables, white space folded. */
const rows = readme.split("\n").filter((line) => line.startsWith("|")).map((line) => line.replace(/\s+/g, " ").trim());

Deno.test("the README lists every setting with its default and its meaning", () => {
  for (const [key, { default: fallback, help, unit }] of settings) {
    const value = Array.isArray(fallback) ? fallback.join(", ") : String(fallback);
    const wanted = `| \`${key}\` | ${value} | ${help}${unit === undefined ? "" : ` (${unit})`} |`;
    ok(rows.some((row) => row.replaceAll("\\", "") === wanted), wanted);
  }
});

Deno.test("the README names every environment variable that a setting reads", () => {
  for (const [, { environment }] of settings) {
    if (environment !== undefined) ok(rows.some((row) => row.startsWith(`| \`${environment}\` |`)), environment);
  }
});
