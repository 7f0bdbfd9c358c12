/**
 * How far training is: a bar where a person watches, a log line now and then elsewhere.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import type { TrainProgress } from "../session/report.ts";
import { decimals, isWatched } from "./terminal.ts";

/** Seconds between log lines where there is no terminal. */
const LINE_EVERY_S = 10;

/** Shows progress until stopped. */
export interface ProgressDisplay {
  update(progress: TrainProgress): void;
  /** Removes the bar's line, so that something else can be printed there. */
  clear(): void;
  stop(): void;
}

/** A bar on a terminal, log lines elsewhere. */
export function progressDisplay(): ProgressDisplay {
  return isWatched() ? barDisplay() : lineDisplay();
}

function barDisplay(): ProgressDisplay {
  const bar = new SingleBar({
    format: "{version} {bar} {percentage}% | {value}/{total} episodes | {rate} eps/s | ETA {eta_formatted} | " +
      "reward {reward} | entropy {entropy}",
    stream: process.stderr,
    hideCursor: true,
    barsize: 24,
    etaBuffer: 20,
    clearOnComplete: true,
  }, Presets.shades_classic);
  let started = false;
  return {
    update: (progress) => {
      const payload = payloadOf(progress);
      if (started) return bar.update(progress.episodes, payload);
      bar.start(progress.total, progress.episodes, payload);
      started = true;
    },
    clear: () => {
      if (started) process.stderr.write("\r\x1b[K");
    },
    stop: () => {
      if (started) bar.stop();
      started = false;
    },
  };
}

function lineDisplay(): ProgressDisplay {
  const log = getLogger(["rlcf", "train"]);
  let last = performance.now();
  return {
    update: (progress) => {
      if (performance.now() - last < 1000 * LINE_EVERY_S) return;
      last = performance.now();
      const { rate, reward, entropy, version } = payloadOf(progress);
      const remaining = Math.round((progress.total - progress.episodes) / Math.max(1, progress.episodesPerSecond));
      log.info(
        "{version}: {episodes}/{total} episodes, {rate} eps/s, {remaining} s left, reward {reward}, entropy {entropy}",
        {
          version,
          episodes: progress.episodes,
          total: progress.total,
          rate,
          remaining,
          reward,
          entropy,
        },
      );
    },
    clear: () => {},
    stop: () => {},
  };
}

function payloadOf(progress: TrainProgress): { version: string; rate: string; reward: string; entropy: string } {
  return {
    version: progress.version,
    rate: Math.round(progress.episodesPerSecond).toString(),
    reward: decimals(progress.reward),
    entropy: decimals(progress.entropy),
  };
}
