#!/usr/bin/env python3
"""Runs an exported policy in plain PyTorch: safetensors in, weights over the experts out.

No package but torch (and numpy, which it brings): a safetensors file is a length, a JSON header and the numbers.

usage: load_in_torch.py POLICY.safetensors < QUERIES.jsonl > WEIGHTS.jsonl

Each line in is {"query_id", "query_embedding"}, each line out {"query_id", "weights": [...]}, in the policy's order.
"""
import json
import struct
import sys

import torch
from torch import nn


def load_safetensors(path):
    """The tensors of a file of float32, by name."""
    with open(path, "rb") as file:
        (header_bytes,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(header_bytes))
        data = bytearray(file.read())
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        assert entry["dtype"] == "F32", f"{name} is {entry['dtype']}, wanted F32"
        begin, end = entry["data_offsets"]
        tensors[name] = torch.frombuffer(data, dtype=torch.float32, count=(end - begin) // 4, offset=begin)
        tensors[name] = tensors[name].reshape(entry["shape"])
    return tensors


def gating_policy(state):
    """The original's module for a state dict: Linear, ReLU, Dropout, ..., Linear; a linear policy has one layer."""
    indices = sorted({int(name.split(".")[0]) for name in state})
    layers = []
    for index in indices:
        outputs, inputs = state[f"{index}.weight"].shape
        layers.append(nn.Linear(inputs, outputs))
        if index != indices[-1]:
            layers += [nn.ReLU(), nn.Dropout(0.1)]
    module = nn.Sequential(*layers)
    module.load_state_dict(state)
    return module.eval()


def main():
    policy = gating_policy(load_safetensors(sys.argv[1]))
    queries = [json.loads(line) for line in sys.stdin]
    embeddings = torch.tensor([query["query_embedding"] for query in queries], dtype=torch.float32)
    with torch.no_grad():
        weights = torch.softmax(policy(embeddings), dim=-1)
    for query, row in zip(queries, weights.double().tolist()):
        print(json.dumps({"query_id": query["query_id"], "weights": row}))


if __name__ == "__main__":
    main()
