"""Reads a window of an rlcf SQLite database into one float32 array, with Python's sqlite3 and numpy.

The peer of `deno task bench:load`: the same rows, in the same order, with the same columns decoded. Prints JSON:
rows per second of the first reading, and the median of four more.

    python3 load_in_python.py FILE ROWS
"""
import json
import sqlite3
import statistics
import sys
import time

import numpy as np

INPUT_DIM = 768
QUERY = """
select f.id, f.created_at, f.trace_id, f.overall_score, f.retrieval_score, f.reasoning_score, f.synthesis_score,
       f.user_authority, f.user_id, t.query_id, t.log_kind, t.gating_weights, t.gating_log_prob, t.query_embedding
from rlcf_feedback f join rlcf_traces t on t.id = f.trace_id
order by f.created_at desc, f.id desc
"""


def load(path: str, rows: int) -> float:
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    connection.execute("pragma cache_size = -2000")
    started = time.perf_counter()
    embeddings = np.empty((rows, INPUT_DIM), np.float32)
    scores = np.empty(rows, np.float64)
    weights = [None] * rows
    read = 0
    for row in connection.execute(QUERY):
        embeddings[read] = np.frombuffer(row[13], np.float32)
        scores[read] = row[3]
        weights[read] = json.loads(row[11])
        read += 1
    seconds = time.perf_counter() - started
    connection.close()
    if read != rows or not np.isfinite(embeddings).all():
        raise SystemExit(f"found {read} rows, wanted {rows} finite ones")
    return rows / seconds


path, rows = sys.argv[1], int(sys.argv[2])
rates = [load(path, rows) for _ in range(5)]
print(json.dumps({"cold": rates[0], "warm": statistics.median(rates[1:])}))
