"""What stands in a text that is no text: pictures, videos, sounds, as the rows that the model's encoder made of them."""
import json
import os

import numpy as np
import torch

AXES = ("time", "height", "width")


class Insert:
    """`rows` [tokens, width] in float32, for the tokens from `start` on. Those of one that is `whole` see each other."""

    def __init__(self, start, rows, grid, whole, sound=False):
        self.start, self.rows, self.grid, self.whole, self.sound = start, rows, grid, whole, sound
        self.end = start + len(rows)

    def offsets(self):
        """[3, tokens]: how far each token's positions are ahead of those of the first."""
        token = torch.arange(len(self.rows))
        if self.grid is None:
            return token.expand(3, -1)
        rows, columns = self.grid["rows"], self.grid["columns"]
        frame, within = token // (rows * columns), token % (rows * columns)
        time = (frame * self.grid.get("interval", 1)).floor().long()
        return torch.stack([time, within // columns, within % columns])


def read_inserts(path, prompt_length):
    with open(path, encoding="utf-8") as text:
        described = json.load(text)
    inserts = []
    for insert in described:
        rows = np.fromfile(os.path.join(os.path.dirname(path), insert["rows"]), np.float32)
        tokens = insert["tokens"]
        if rows.size == 0 or rows.size % tokens != 0:
            raise ValueError(f"{insert['rows']} must hold as many numbers for each of {tokens} tokens, found {rows.size}")
        rows = torch.from_numpy(rows).reshape(tokens, -1)
        inserts.append(Insert(insert["start"], rows, insert.get("grid"), insert.get("whole", True), insert.get("sound", False)))
    places = [place for insert in inserts for place in (insert.start, insert.end)]
    if places != sorted(places) or (places and places[-1] > prompt_length):
        raise ValueError(f"{path} must list places within the prompt's {prompt_length} tokens, in order, found {places}")
    return inserts


def counts_for(step, of):
    """Whether an adapter counts that is for sequences with anything, with `pictures`, or with `sound` alone."""
    if of is None or not step.inserts:
        return bool(step.inserts)
    return all(insert.sound for insert in step.inserts) == (of == "sound")


def within(step):
    """Of each insert that the step has tokens of, which of its rows these are: (insert, first row, end)."""
    for insert in step.inserts:
        first, end = max(insert.start, step.start), min(insert.end, step.context)
        if first < end:
            yield insert, first - insert.start, end - insert.start


def rows_of(step, columns):
    """The step's rows of all inserts, one after another: these columns of each, zeros where an encoder gives fewer."""

    def cut(rows):
        missing = max(0, columns.stop - rows.shape[1])
        return torch.nn.functional.pad(rows, (0, missing))[:, columns]

    return [cut(insert.rows[first:end]) for insert, first, end in within(step)]


def inserted_rows(step, width):
    return torch.cat(rows_of(step, slice(0, width)) or [torch.zeros(1, width)])


def deep_rows(step, width, level):
    columns = slice((1 + level) * width, (2 + level) * width)
    return torch.cat([torch.zeros(1, width), *rows_of(step, columns)])


def numbered(step, rows, first):
    """`rows` of the step's tokens, but `first`, first + 1, ... for those of inserts."""
    for insert, begin, end in within(step):
        at = insert.start + begin - step.start
        rows[at : at + end - begin] = torch.arange(first, first + end - begin)
        first += end - begin
    return rows


def embedding_rows(step):
    return numbered(step, torch.arange(step.count), step.count)


def deep_index(step):
    return numbered(step, torch.zeros(step.count, dtype=torch.int64), 1)


def seen_keys(step, queries):
    """How many keys each query sees: those up to its own, or to the last of the whole insert that it is of."""
    seen = queries + 1
    for insert in step.inserts:
        if insert.whole:
            seen[(queries >= insert.start) & (queries < insert.end)] = insert.end
    return seen


def axis_positions(step, axis):
    """Text has one position for all axes, and goes on behind the largest position of an insert (arXiv:2409.12191, 2.1)."""
    positions = step.positions.clone()
    for insert in step.inserts:
        offsets = insert.offsets()
        behind = step.positions >= insert.end
        positions[behind] += int(offsets.max()) + 1 - len(insert.rows)
        inside = (step.positions >= insert.start) & ~behind
        row = step.positions[inside] - insert.start
        positions[inside] += offsets[AXES.index(axis)][row] - row
    return positions


def grid_positions(step, axis):
    """Text has its place on each axis; a grid, before and behind which as many tokens are text, begins at 0 (HunyuanOCR)."""
    positions = step.positions.clone()
    for picture, insert in enumerate(step.inserts):
        if insert.grid is None:
            continue
        rows, columns = insert.grid["rows"], insert.grid["columns"]
        within = step.positions - insert.start - (len(insert.rows) - rows * columns) // 2
        inside = (within >= 0) & (within < rows * columns)
        own = {"column": within % columns, "row": within // columns, "picture": torch.full_like(within, picture)}
        positions[inside] = own[axis][inside]
    return positions
