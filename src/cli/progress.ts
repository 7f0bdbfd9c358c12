/**
 * How far a command is: a line that changes where a person watches, a log line now and then elsewhere.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import type { FitProgress, TrainProgress } from "../session/report.ts";
import { count, decimals } from "./table.ts";
import { columns, isWatched, sayInPlace } from "./terminal.ts";

/** Seconds between log lines where there is no terminal. */
const LINE_EVERY_S = 10;
/** Milliseconds between two changes of a live line. */
const REDRAW_EVERY_MS = 100;
/** Sizes of the bar itself, in columns. */
const [SHORTEST_BAR, LONGEST_BAR] = [8, 40];

/** Shows the progress of training until stopped. */
export interface ProgressDisplay {
  update(progress: TrainProgress): void;
  /** Before the first step. */
  fit(progress: FitProgress): void;
  /** Removes the bar's line, so that something else can be printed there. */
  clear(): void;
}

/** A bar on a terminal, log lines elsewhere. */
export function progressDisplay(): ProgressDisplay {
  if (!isWatched()) return lineDisplay();
  const line = new LiveLine();
  let isFitting = false;
  return {
    update: (progress) => {
      // The first step is news, however little time has passed since the last line.
      if (isFitting) line.clear();
      isFitting = false;
      line.show(barLine(progress));
    },
    fit: (progress) => {
      isFitting = true;
      line.show(fitLine(progress));
    },
    clear: () => line.clear(),
  };
}

/** The bar's line: what fits into the terminal, the least important left out first. */
function barLine(shown: TrainProgress): string {
  const share = Math.min(1, shown.episodes / Math.max(1, shown.total));
  const facts = [
    percent(share).padStart(4),
    `${count(shown.episodes)}/${count(shown.total)} episodes`,
    `ETA ${duration(secondsLeft(shown))}`,
    `${count(Math.round(shown.episodesPerSecond))}/s`,
    `reward ${decimals(shown.reward)}`,
    `entropy ${decimals(shown.entropy)}`,
  ];
  const available = columns() - 4 - shown.version.length - 2;
  while (facts.length > 1 && facts.join("  ").length + SHORTEST_BAR > available) facts.pop();
  return withBar(shown.version, share, facts.join("  "));
}

/** The line while there are no steps yet. */
function fitLine({ version, done }: FitProgress): string {
  return withBar(version, done, `${percent(done).padStart(4)}  fitting the reward model`);
}

/** A version, a bar as long as there is room for, and what is said behind it. */
function withBar(version: string, share: number, text: string): string {
  const size = Math.max(0, Math.min(LONGEST_BAR, columns() - 4 - version.length - 2 - text.length));
  const full = Math.round(share * size);
  return `${version} ${"█".repeat(full)}${"░".repeat(size - full)} ${text}`;
}

function percent(share: number): string {
  return `${Math.floor(100 * share)}%`;
}

function lineDisplay(): ProgressDisplay {
  const log = getLogger(["rlcf", "train"]);
  let last = performance.now();
  const isDue = (): boolean => {
    const due = performance.now() - last >= 1000 * LINE_EVERY_S;
    if (due) last = performance.now();
    return due;
  };
  return {
    fit: ({ version, done }) => {
      if (!isDue()) return;
      log.info("{version}: fitting the reward model, {percent}", { version, percent: percent(done) });
    },
    update: (progress) => {
      if (!isDue()) return;
      log.info(
        "{version}: {episodes} of {total} episodes, {rate}/s, {left} left, reward {reward}, entropy {entropy}",
        {
          version: progress.version,
          episodes: progress.episodes,
          total: progress.total,
          rate: Math.round(progress.episodesPerSecond),
          left: duration(secondsLeft(progress)),
          reward: decimals(progress.reward),
          entropy: decimals(progress.entropy),
        },
      );
    },
    clear: () => {},
  };
}

function secondsLeft({ episodes, total, episodesPerSecond }: TrainProgress): number {
  return Math.ceil((total - episodes) / Math.max(episodesPerSecond, 1e-9));
}

/** A time in words, e.g. `0.3 s`, `45 s`, `3 min 20 s` or `2 h 05 min`. */
export function duration(seconds: number): string {
  if (seconds < 10 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`;
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
  return `${Math.floor(whole / 3600)} h ${String(Math.floor(whole % 3600 / 60)).padStart(2, "0")} min`;
}

/**
 * One line of the terminal that changes in place. Nothing else of the terminal is touched, so that there is nothing to
 * put right when the process is killed.
 */
export class LiveLine {
  #shownAt = -Infinity;
  #visible = false;

  /** Shows a text that fits, unless another was shown just now. */
  show(text: string): void {
    const now = performance.now();
    if (this.#visible && now - this.#shownAt < REDRAW_EVERY_MS) return;
    this.#shownAt = now;
    this.#visible = true;
    sayInPlace(text);
  }

  /** Removes the text; whatever is said next stands in its place. */
  clear(): void {
    if (this.#visible) sayInPlace("");
    this.#visible = false;
  }
}

/** On a terminal, a line with a number that grows and how fast it does; nothing elsewhere. */
export class Counter implements Disposable {
  readonly #what: string;
  readonly #line = new LiveLine();
  readonly #started = performance.now();

  /** @param what what is counted, e.g. `lines` */
  constructor(what: string) {
    this.#what = what;
  }

  /** Shows the number. */
  update(value: number): void {
    if (!isWatched()) return;
    const rate = Math.round(1000 * value / Math.max(1, performance.now() - this.#started));
    this.#line.show(`${count(value)} ${this.#what}, ${count(rate)}/s`);
  }

  /** Removes the line, so that something else can be printed there. */
  clear(): void {
    this.#line.clear();
  }

  /** Removes the line. */
  [Symbol.dispose](): void {
    this.clear();
  }
}
