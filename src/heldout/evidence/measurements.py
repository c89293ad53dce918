"""Raw measurements, one a row, and the Parquet files that hold them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq

from heldout.errors import Problems

REQUIRED = ("behaviour", "stage", "quantity")
SCHEMA = pa.schema(
    [
        pa.field(name, kind, nullable=name not in REQUIRED)
        for name, kind in (
            ("behaviour", pa.string()),
            ("stage", pa.string()),
            ("model", pa.string()),
            ("quantity", pa.string()),
            ("site", pa.string()),
            ("layer", pa.int32()),
            ("position", pa.int32()),
            ("intervention", pa.string()),
            ("direction", pa.string()),
            ("split", pa.string()),
            ("role", pa.string()),
            ("sample", pa.string()),
            ("value", pa.float64()),
            ("answer", pa.string()),
        )
    ]
)
ROWS_A_GROUP = 1 << 17


def measurement_table(
    rows: Iterable[Mapping[str, Any]] | Mapping[str, Sequence[Any]] | pa.Table, stage: str
) -> pa.Table:
    """`rows` (mappings, one a row; or a mapping of columns; or a table) as a table of `SCHEMA`.

    A column that is not given is null, but for `stage`, which is `stage`. Raises InputError on unknown columns and
    empty required ones.
    """
    problems = Problems(f"measurements of stage {stage!r}")
    columns: dict[str, Any]
    if isinstance(rows, pa.Table):
        table = cast("Any", rows)
        columns, count = {name: table.column(name) for name in table.column_names}, table.num_rows
    elif isinstance(rows, Mapping):
        columns = dict(cast("Mapping[str, Sequence[Any]]", rows))
        count = len(next(iter(columns.values()), ()))
    else:
        listed = list(rows)
        names = {name for row in listed for name in row}
        columns = {name: [row.get(name) for row in listed] for name in names}
        count = len(listed)
    columns.setdefault("stage", [stage] * count)
    unknown = sorted(set(columns) - set(SCHEMA.names))
    if unknown:
        problems.add(
            f"the columns {unknown}", f"columns among {SCHEMA.names}", "rename them, or keep the table in nulls/"
        )
    problems.raise_if_any()
    arrays = [_column(columns.get(field.name), field, count) for field in SCHEMA]
    table = pa.table(arrays, schema=SCHEMA)
    for name in REQUIRED:
        if table.column(name).null_count:
            problems.add(
                f"{table.column(name).null_count} rows without {name}",
                f"a {name} in every row",
                f"give each row its {name}",
            )
    problems.raise_if_any()
    return table


class MeasurementFile:
    """A Parquet file of measurements that is written in large groups of rows. Final; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(path, SCHEMA, compression="zstd")
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def add(self, table: pa.Table) -> None:
        self._waiting.append(table)
        self._rows += table.num_rows
        if self._rows >= ROWS_A_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._writer.close()

    def __enter__(self) -> MeasurementFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=ROWS_A_GROUP)
        self._waiting, self._rows = [], 0


def concatenate(sources: Sequence[Path], target: Path) -> None:
    """Writes the rows of `sources`, in order, to `target`; memory stays at one group of rows."""
    with MeasurementFile(target) as file:
        for source in sources:
            with pq.ParquetFile(source) as parquet:
                for batch in parquet.iter_batches(batch_size=ROWS_A_GROUP):
                    file.add(pa.Table.from_batches([batch], schema=SCHEMA))


def _column(values: Any, field: pa.Field, count: int) -> pa.Array | pa.ChunkedArray:
    if values is None:
        return pa.nulls(count, field.type)
    if isinstance(values, pa.ChunkedArray):
        return values.cast(field.type)
    return pa.array(values, type=field.type, from_pandas=False)
