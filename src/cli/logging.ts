/**
 * Log lines on stderr: time, level and message.
 *
 * @module
 */
import { configure, type LogLevel, type LogRecord } from "@logtape/logtape";
import type { Config } from "../config/schema.ts";
import { say, visibleLine } from "./terminal.ts";

/** Shows messages of at least the given level. */
export async function showLogs(level: Config["logging"]["level"], beforeLine: () => void = () => {}): Promise<void> {
  await configure({
    reset: true,
    sinks: {
      stderr: (record: LogRecord): void => {
        beforeLine();
        say(`${timeOf(record.timestamp)} ${record.level.padEnd(7)} ${textOf(record)}`);
      },
    },
    loggers: [
      { category: "rlcf", lowestLevel: level as LogLevel, sinks: ["stderr"] },
      { category: ["logtape", "meta"], lowestLevel: "error", sinks: ["stderr"] },
    ],
  });
}

function timeOf(timestamp: number): string {
  return new Date(timestamp).toISOString().slice(11, 19);
}

function textOf(record: LogRecord): string {
  // Texts of the program and values take turns; only the former may hold a newline.
  return record.message.map((part, i) => i % 2 === 0 ? String(part) : visibleLine(String(part))).join("");
}
