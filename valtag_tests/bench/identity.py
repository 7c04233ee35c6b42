"""Persons of N links, and the same by scipy: ``python -m valtag_tests.bench.identity --links 1000000``.

A tenth of the links are chains of 500; the others join three phones and three devices of each person. Ours reads
text identifiers from a clean table and writes the keys with their persons; scipy is given numbered nodes in memory.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from valtag_assets.engine.duckdb import open_duckdb
from valtag_assets.engine.identity.identifiers import find_identifiers, keys
from valtag_assets.engine.identity.tables import IDENTIFIERS
from valtag_assets.engine.identity.work import Work
from valtag_assets.expression.resolve import resolve_catalog

CHAIN, OWN = 500, 3
FILES = {
    "project.yaml": "name: links\ntitle: {zh: 链接, en: Links}\nstart: 2024-01-01\n",
    "sources/visits.yaml": """
source: visits
title: {zh: 访问, en: Visits}
kind: fact
read: {path: visits.csv}
time: at
fields: [{name: phone, type: text}, {name: device, type: text}, {name: at, type: timestamp}]
""",
    "identity.yaml": """
kinds: [{code: phone, title: {zh: 手机, en: Phone}}, {code: device, title: {zh: 设备, en: Device}}]
sources: {visits: {phone: phone, device: device}}
""",
}


def links(many: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """The phone and the device of each link, numbered."""
    draw = np.random.default_rng(seed)
    chained = np.arange(many // 10)
    persons = draw.integers(0, max(1, many // 4), many - len(chained))
    # A chain of 500 links has 251 phones and 250 devices; chains lie apart.
    chain, step = chained // CHAIN, chained % CHAIN
    phones = chain * CHAIN + (step + 1) // 2
    devices = chain * CHAIN + step // 2
    first = many
    phone = first + persons * OWN + draw.integers(0, OWN, len(persons))
    device = first + persons * OWN + draw.integers(0, OWN, len(persons))
    return np.concatenate([phones, phone]), np.concatenate([devices, device])


def by_scipy(phones: np.ndarray, devices: np.ndarray) -> tuple[float, dict[str, np.ndarray]]:
    """Seconds, and the component of every phone and device that has a link."""
    started = time.monotonic()
    known, numbers = np.unique(phones, return_inverse=True)
    other, others = np.unique(devices, return_inverse=True)
    size = len(known) + len(other)
    graph = coo_array((np.ones(len(phones), dtype=np.int8), (numbers, others + len(known))), shape=(size, size))
    _, labels = connected_components(graph, directed=False)
    return time.monotonic() - started, {"phone": labels[: len(known)], "device": labels[len(known) :]}


def by_valtag(phones: np.ndarray, devices: np.ndarray, folder: Path) -> tuple[float, float, pa.Table]:
    """Wall and CPU seconds, and (kind, key, person_id) of every key."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    clean, rows = folder / "visits.parquet", len(phones)
    columns = {"phone": phones, "device": devices}
    texts = {
        name: pc.binary_join_element_wise(name[0], pa.array(ids).cast(pa.string()), "")
        for name, ids in columns.items()
    }
    at = pa.array(np.full(rows, np.datetime64("2024-01-01T00:00:00", "us")))
    pq.write_table(pa.table({**texts, "at": at, "_file": pa.repeat("f", rows), "_row": np.arange(rows)}), clean)
    resolved = resolve_catalog(folder)
    with open_duckdb(folder) as engine:
        started, cpu = time.monotonic(), time.process_time()
        work = Work(engine, folder, {"clean/visits": [clean]})
        work.write(find_identifiers(work, resolved), folder / "identifiers.parquet")
        work.files[IDENTIFIERS] = [folder / "identifiers.parquet"]
        work.write(keys(1, before=False), folder / "keys.parquet")
        seconds = time.monotonic() - started, time.process_time() - cpu
    return *seconds, pq.read_table(folder / "keys.parquet", columns=["kind", "key", "person_id"])


def same_partition(found: pa.Table, labels: dict[str, np.ndarray], phones: np.ndarray, devices: np.ndarray) -> bool:
    """Whether persons and components are one and the same."""
    pairs = []
    for kind, ids in (("phone", phones), ("device", devices)):
        own = found.filter(pc.equal(found["kind"], kind))
        numbers = pc.utf8_slice_codeunits(own["key"], 1).cast(pa.int64()).to_numpy()
        known = np.unique(ids)
        if len(numbers) != len(known):
            return False
        pairs.append((labels[kind][np.searchsorted(known, numbers)], own["person_id"]))
    component = np.concatenate([pair[0] for pair in pairs])
    person = pa.chunked_array([chunk for pair in pairs for chunk in pair[1].chunks]).dictionary_encode()
    codes = person.combine_chunks().indices.to_numpy()
    both = np.unique(component.astype(np.int64) * (codes.max() + 1) + codes)
    return bool(len(both) == len(np.unique(component)) == len(np.unique(codes)))


def bench(many: int) -> dict[str, Any]:
    phones, devices = links(many)
    scipy_seconds, labels = by_scipy(phones, devices)
    with tempfile.TemporaryDirectory() as folder:
        wall, cpu, found = by_valtag(phones, devices, Path(folder))
    same = same_partition(found, labels, phones, devices)
    persons = pc.count_distinct(found["person_id"]).as_py()
    return {
        "links": many,
        "identifiers": found.num_rows,
        "persons": persons,
        "wall": round(wall, 2),
        "cpu": round(cpu, 2),
        "scipy": round(scipy_seconds, 2),
        "same": same,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--links", type=int, default=1_000_000)
    print(json.dumps(bench(parser.parse_args().links)))
