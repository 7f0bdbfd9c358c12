/**
 * Numbers about the running server in the text format of Prometheus (version 0.0.4). Every label has few values: none
 * comes from a request as it is.
 *
 * @module
 */

/** Upper bounds of the buckets of a request's time, in seconds. */
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Names and values that tell the series of one metric apart. */
export type Labels = Readonly<Record<string, string>>;

/** Something that has a value when it is asked for. */
interface Metric {
  readonly lines: () => string[];
}

/** A count for each set of labels. */
export class Counter {
  readonly #name: string;
  readonly #values = new Map<string, number>();

  /**
   * Nothing is counted yet.
   *
   * @param name of the metric, which ends in `_total`
   */
  constructor(name: string) {
    this.#name = name;
  }

  /** Counts. */
  add(labels: Labels = {}, by = 1): void {
    const key = labelText(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + by);
  }

  /** The sample lines. */
  lines(): string[] {
    return [...this.#values].map(([labels, value]) => `${this.#name}${labels} ${value}`);
  }
}

/** How many requests of each route took how long. */
export class Histogram {
  readonly #name: string;
  readonly #series = new Map<string, { readonly route: string; readonly buckets: number[]; sum: number }>();

  /**
   * Nothing is observed yet.
   *
   * @param name of the metric, which ends in its unit, `_seconds`
   */
  constructor(name: string) {
    this.#name = name;
  }

  /** Takes one observation in. */
  observe(route: string, seconds: number): void {
    let series = this.#series.get(route);
    if (series === undefined) {
      series = { route, buckets: new Array(SECONDS.length + 1).fill(0), sum: 0 };
      this.#series.set(route, series);
    }
    const place = SECONDS.findIndex((bound) => seconds <= bound);
    series.buckets[place === -1 ? SECONDS.length : place]!++;
    series.sum += seconds;
  }

  /** The sample lines; buckets are cumulative. */
  lines(): string[] {
    return [...this.#series.values()].flatMap(({ route, buckets, sum }) => {
      let count = 0;
      const lines = buckets.map((n, i) => {
        count += n;
        const le = i === SECONDS.length ? "+Inf" : String(SECONDS[i]);
        return `${this.#name}_bucket${labelText({ route, le })} ${count}`;
      });
      const labels = labelText({ route });
      return [...lines, `${this.#name}_sum${labels} ${sum}`, `${this.#name}_count${labels} ${count}`];
    });
  }
}

/** The metrics of one server. */
export class Metrics {
  readonly #metrics: {
    readonly name: string;
    readonly type: string;
    readonly help: string;
    readonly metric: Metric;
  }[] = [];
  /** Requests by route, method and status. */
  readonly requests: Counter = this.#add("rlcf_http_requests_total", "counter", "Answered requests.", Counter);
  /** Seconds from the head of a request to its answer. */
  readonly seconds: Histogram = this.#add(
    "rlcf_http_request_duration_seconds",
    "histogram",
    "Time from the head of a request to its answer.",
    Histogram,
  );
  /** Traces and feedback by what became of them. */
  readonly records: Counter = this.#add("rlcf_records_total", "counter", "Records by outcome.", Counter);
  /** Transactions that stored records. */
  readonly commits: Counter = this.#add("rlcf_write_commits_total", "counter", "Transactions with records.", Counter);
  /** Queries that were routed. */
  readonly routed: Counter = this.#add("rlcf_routed_queries_total", "counter", "Routed queries.", Counter);
  /** Calls of the network. */
  readonly forwards: Counter = this.#add("rlcf_forward_calls_total", "counter", "Calls of the network.", Counter);
  /** Versions that replaced another one while serving. */
  readonly swaps: Counter = this.#add("rlcf_policy_swaps_total", "counter", "Changes of the served version.", Counter);
  /** Versions that could not be loaded. */
  readonly failures: Counter = this.#add(
    "rlcf_policy_load_failures_total",
    "counter",
    "Attempts to load a version that failed.",
    Counter,
  );

  /** Adds a value that is read when it is asked for, with its labels. */
  gauge(name: string, help: string, read: () => readonly (readonly [Labels, number])[]): void {
    const lines = (): string[] => read().map(([labels, value]) => `${name}${labelText(labels)} ${value}`);
    this.#metrics.push({ name, type: "gauge", help, metric: { lines } });
  }

  /** All of it, as Prometheus reads it. */
  text(): string {
    return this.#metrics.map(({ name, type, help, metric }) =>
      [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...metric.lines()].map((line) => `${line}\n`).join("")
    ).join("");
  }

  #add<M extends Metric>(name: string, type: string, help: string, kind: new (name: string) => M): M {
    const metric = new kind(name);
    this.#metrics.push({ name, type, help, metric });
    return metric;
  }
}

function labelText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  return `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
