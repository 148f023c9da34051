"""A slow and plain decoder of ``ristretto`` streams, written from docs/formats.md, section 9.

It shares no code with the package, and takes the templates from the text itself.
"""

import itertools
import lzma
import math
import re
from functools import cache
from types import MappingProxyType

import numpy as np

from tests.helpers.paths import ROOT

ONE = 1 << 22
#: Counters of each question, in 2-D and in 3-D slices, in their order.
QUESTIONS = ("same", "left", "above")
SIZES = {"is 3-D": (1, 1), "columns": (1, 1)}
SIZES |= {f"coarse {name}": (128, 128) for name in QUESTIONS}
SIZES |= {"same": (1 << 18, 1 << 18), "left": (1 << 18, 1 << 18), "above": (1 << 12, 1 << 15)}
SIZES |= {"background": (1 << 7, 1 << 14), "corner": (1 << 11, 1 << 11), "run": (1 << 14, 13 << 9)}
SIZES |= {"steps": (16 * 12 * 8 * 4, 0), "break": (13 << 10, 13 << 10), "below": (0, 12 * 5 * 32)}
SIZES |= {"beside": (256, 256), "known": (5, 1), "number": (3 << 10, 1 << 10)}
STRETCH = [round(256 * math.log((i + 0.5) / (4095.5 - i))) for i in range(4096)]
SQUASH = [
    min(max(round(ONE / (1 + math.exp((2816 - i) / 256))), 64), ONE - 64) for i in range(5633)
]


def read_templates():
    text = (ROOT / "docs/formats.md").read_text()
    block = re.search(r"```templates\n(.*?)```", text, re.S).group(1).replace("\n  ", " ")
    found = {}
    for line in block.splitlines():
        name, _, items = line.partition(": ")
        found[name] = [tuple(map(place, item.split("="))) for item in items.split()]
    return found


def place(text):
    """(dz, dy, dx), or None for the label 0."""
    if text == "0":
        return None
    dy, dx = map(int, text[1:].split(","))
    return -"cpq".index(text[0]), dy, dx


TEMPLATES = read_templates()


class Coder:
    def __init__(self, data):
        self.data, self.at, self.low, self.span = data, 7, 0, (1 << 56) - 1
        self.low = int.from_bytes((data[:7] + bytes(7))[:7], "big")

    def bit(self, chance):
        bound = (self.span >> 22) * chance
        bit = self.low < bound
        if bit:
            self.span = bound
        else:
            self.low -= bound
            self.span -= bound
        while self.span < 1 << 40:
            two = (self.data[self.at : self.at + 2] + bytes(2))[:2]
            self.low = self.low << 16 | int.from_bytes(two, "big")
            self.span <<= 16
            self.at += 2
        return int(bit)


class Counters(dict):
    """Counters by their keys: [probability, bits seen]; ``known`` is what they start from."""

    def __init__(self, known=MappingProxyType({})):
        super().__init__()
        self.known = known

    def __missing__(self, key):
        self[key] = list(self.known.get(key, (1 << 21, 0)))
        return self[key]

    def learn(self, key, bit):
        counter = self[key]
        chance, seen = counter
        step = 655360 // (10 * seen + 16)
        if bit:
            chance += (ONE - 1 - chance) * step >> 16
        else:
            chance -= chance * step >> 16
        counter[:] = chance, min(seen + 1, 255)

    def decide(self, coder, key):
        bit = coder.bit(self[key][0])
        self.learn(key, bit)
        return bit

    def decide_fine(self, coder, key, coarse):
        young = self[key][1] < 8
        if self[key][1] == 0:
            self[key] = [self[coarse][0], 2 if self[coarse][1] else 0]
        bit = self.decide(coder, key)
        if young:
            self.learn(coarse, bit)
        return bit

    def number(self, coder, bits, name, tree, kind=2):
        value, node = 0, 1
        for _ in range(bits):
            bit = self.decide(coder, (name, kind, tree * 1024 + min(node, 1023)))
            value, node = 2 * value + bit, 2 * node + bit
        return value

    def size(self, coder, tree):
        bits = self.number(coder, 7, "size", tree)
        value = int(bits > 0)
        for _ in range(bits - 1):
            value = 2 * value + coder.bit(1 << 21)
        return value


def kept(number, least, most):
    return min(max(number, least), most)


@cache
def trained(start):
    """What counters start from, of those that have met something."""
    if not start:
        return {}
    file = ROOT / "compresso/encodings/ristretto-start-1.xz"
    plain = lzma.decompress(file.read_bytes())
    numbers, codes = np.frombuffer(plain, "<u4", 64).tolist(), plain[256:]
    assert numbers[0] == len(codes) == sum(map(sum, SIZES.values()))
    names = (
        (name, kind, i)
        for name, sizes in SIZES.items()
        for kind, size in enumerate(sizes, 2)
        for i in range(size)
    )
    return {key: (numbers[code], 6) for code, key in zip(codes, names, strict=True) if code}


def decode(stream):
    """The labels of a stream, an array of uint64."""
    assert stream[:5] == b"rist\x01"
    effort, known = stream[5:7]
    at = 7

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = stream[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    shape = varint(), varint(), varint()
    depth, n_labels, table_size = varint(), varint(), varint()
    volume = np.zeros(shape, np.uint64)
    pieces = []
    nz, ny, nx = shape if volume.size else (0, 0, 0)
    steps = (depth, 4096, 4096)
    for start in itertools.product(*map(range, (0, 0, 0), (nz, ny, nx), steps)):
        where = tuple(slice(a, a + step) for a, step in zip(start, steps, strict=True))
        pieces.append((where, varint(), varint()))
        at += 4
    labels = read_labels(stream[at : at + table_size], n_labels, [piece[1] for piece in pieces])
    at += table_size + 4
    for (where, _, size), own in zip(pieces, labels, strict=True):
        shape = volume[where].shape
        volume[where] = Piece(stream[at : at + size], effort, known, shape, own).decode()
        at += size
    assert at == len(stream)
    return volume


def read_labels(data, n_labels, counts):
    coder, counters = Coder(data), Counters()
    labels, label = [], 0
    for _ in range(n_labels):
        label += counters.size(coder, 0) + 1
        labels.append(label)
    for count in counts:
        members, rank = [], -1
        for _ in range(count):
            rank += counters.size(coder, 1) + 1
            members.append(labels[rank])
        yield [0] + [members.pop(counters.size(coder, 2)) for _ in range(count)]


MARGIN = 48


def blank(ny, nx):
    """The rows of a slice, with its margins."""
    return {y: [0] * (nx + 2 * MARGIN) for y in range(-10, ny + 14)}


BELOW = sorted(
    ((dy, dx) for dy in range(-2, 7) for dx in range(-7, 9)),
    key=lambda d: (4 * (d[0] - 2) ** 2 + (2 * d[1] - 1) ** 2, *d),
)
BESIDE = sorted(
    ((dy, dx) for dy in range(-6, 1) for dx in range(-10, 11) if dy < 0 or dx < -1),
    key=lambda d: (d[0] ** 2 + d[1] ** 2, *d),
)


class Piece:
    def __init__(self, data, effort, start, shape, labels):
        self.coder, self.counters, self.effort = Coder(data), Counters(trained(start)), effort
        self.shape, self.labels = shape, labels
        self.width = min(max(math.prod(shape).bit_length() - 3, 12), 14 + 2 * effort)
        self.weights = {}
        self.met = 1

    def decode(self):
        out = np.zeros(self.shape, np.uint64)
        nz, self.ny, self.nx = self.shape
        self.slices = [blank(self.ny, self.nx)] * 2
        self.deep, self.kind = 0, 2
        for z in range(nz):
            self.slices = [blank(self.ny, self.nx), *self.slices[:2]]
            self.deep = self.decide("is 3-D", 0)
            self.kind = 3 if self.deep else 2
            columns = self.decide("columns", 0)
            self.decode_slice()
            rows = [self.slices[0][y][MARGIN : MARGIN + self.nx] for y in range(self.ny)]
            out[z] = [[self.labels[number] for number in row] for row in rows]
            if columns:
                ranks = {}
                for label in out[z].T.ravel().tolist():
                    ranks.setdefault(label, len(ranks) + 1)
                out[z] = [[ranks[label] for label in row] for row in out[z].tolist()]
        return out

    def decide(self, name, index):
        return self.counters.decide(self.coder, (name, self.kind, int(index)))

    def at(self, where, y, x):
        dz, dy, dx = where
        return self.slices[-dz][y + dy][x + dx + MARGIN]

    def context(self, name, y, x):
        value = 0
        for i, (a, b) in enumerate(TEMPLATES[name]):
            right = 0 if b is None else self.at(b, y, x)
            value |= (self.at(a, y, x) == right) << i
        return value

    def decode_slice(self):
        current, before, _ = self.slices
        for y in range(-10, 0):
            current[y] = before[0][:] if self.deep else [0] * len(current[0])
        self.seen = set()
        for y in range(self.ny):
            row = current[y]
            row[:MARGIN] = [current[y - 1][MARGIN]] * MARGIN
            self.decode_row(y, row)
            row[:MARGIN] = [row[MARGIN]] * MARGIN
            row[MARGIN + self.nx :] = [row[MARGIN + self.nx - 1]] * MARGIN
        for y in range(self.ny, self.ny + 14):
            current[y] = current[self.ny - 1]

    def is_flat(self, y, x):
        places = [(0, -1, 1), (-1, 0, 0), (-1, 2, 1)] if self.deep else [(0, -1, 1)]
        return all(self.at(where, y, x) == self.at((0, -1, 0), y, x) for where in places)

    def decode_row(self, y, row):
        x = 0
        while x < self.nx:
            left, above = self.at((0, 0, -1), y, x), self.at((0, -1, 0), y, x)
            flat = 0
            while left == above and x + flat < self.nx and self.is_flat(y, x + flat):
                flat += 1
            if flat:
                length = self.run(y, x, flat)
                row[MARGIN + x : MARGIN + x + length] = [left] * length
                x += length
                if length == flat:
                    continue
                label = self.other(y, x)
            elif self.question("same" if left == above else "left", y, x):
                label = left
            elif left != above and self.question("above", y, x):
                label = above
            else:
                label = self.other(y, x)
            row[MARGIN + x] = label
            x += 1

    def other(self, y, x):
        left, above = self.at((0, 0, -1), y, x), self.at((0, -1, 0), y, x)
        corner, kind = self.at((0, -1, 1), y, x), self.kind

        def holds(name):
            return self.decide(name, self.context(f"{name} {kind}", y, x))

        if left and above and holds("background"):
            return 0
        if corner not in (0, left, above) and holds("corner"):
            return corner
        found = self.candidate(y, x, [0, left, above, corner])
        return self.number() if found is None else found

    def candidate(self, y, x, asked):
        count = 0
        for dz, offsets, most in ((-1, BELOW if self.deep else [], 12), (0, BESIDE, 24)):
            for i, (dy, dx) in enumerate(offsets):
                label = self.at((dz, dy, dx), y, x)
                if count == most or label in asked:
                    continue
                context = self.below(i, label, y, x, min(count, 5) * 2) if dz else i
                if self.decide("below" if dz else "beside", context):
                    return label
                asked.append(label)
                count += 1
        return None

    def below(self, i, label, y, x, context):
        near = [(0, row, d) for d in range(2, 9) for row, d in ((-1, d), (-1, -d), (0, -d))]
        context = (context + any(self.at(where, y, x) == label for where in near)) * 5
        context += sum(i >= ring for ring in (4, 12, 30, 80))
        for where in ((-1, 0, 0), (-1, 1, 1), (-2, 2, 0), (-1, 4, 0)):
            context = context * 2 + (self.at(where, y, x) == label)
        return context * 2 + (self.at((0, 0, -1), y, x) == self.at((0, -1, 0), y, x))

    def tree(self, most, name, tree):
        return self.counters.number(self.coder, max(most, 0).bit_length(), name, tree, self.kind)

    def number(self):
        if self.deep or self.met > 65536:
            if self.decide("known", 0 if self.deep else 4):
                number = self.met
            else:
                number = 1 + self.tree(self.met - 2, "number", 0)
        elif self.decide("known", min(3, len(self.seen))):
            number = 1 + self.tree(self.met - 2, "number", 1)
        else:
            rank = self.tree(self.met - 1, "number", 2)
            number = [n for n in range(1, self.met + 1) if n not in self.seen][rank]
            self.seen.add(number)
        self.met += number == self.met
        return number

    def question(self, name, y, x):
        kind = self.kind
        context = self.context(f"{name} {kind}", y, x)
        key = (name, kind, context)
        number = QUESTIONS.index(name) * 2 + self.deep
        if self.effort == 1:
            coarse = (f"coarse {name}", kind, context & 127)
            return self.counters.decide_fine(self.coder, key, coarse)
        keys = [key]
        more = [n for n in TEMPLATES if n.startswith(f"{name} {kind} more")]
        for template in more if self.effort == 3 else more[:2]:
            value = self.context(template, y, x)
            keys.append((template, self.spread(value, len(TEMPLATES[template]))))
        edges = [] if name == "above" else list(self.edges(name, y, x))
        for i, edge in enumerate(edges if self.effort == 3 else edges[:1] * self.deep):
            keys.append(("edge", number, i, self.spread(*edge)))
        chosen = (number, self.context(f"{name} {kind} weights", y, x))
        return self.mix(keys, chosen, (number, context & 1023))

    def spread(self, value, bits):
        if bits <= self.width:
            return value
        return (value * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> (64 - self.width)

    def mix(self, keys, chosen, refinement):
        weights = self.weights.setdefault(chosen, [min(65536, 78643 // len(keys))] * len(keys))
        odds = [STRETCH[self.counters[key][0] >> 10] for key in keys]
        total = sum(x * w for x, w in zip(odds, weights, strict=True)) >> 16
        total = kept(total, -2815, 2815) + 2816
        mixed = SQUASH[total]
        if refinement is None:
            bit = self.coder.bit(mixed)
        else:
            k, f = divmod(total, 176)
            for column in (k, k + 1):
                if (*refinement, column) not in self.counters:
                    self.counters[*refinement, column] = [SQUASH[min(176 * column, 5632)], 6]
            low, high = (self.counters[*refinement, column][0] for column in (k, k + 1))
            refined = (low * (176 - f) + high * f) // 176
            bit = self.coder.bit(kept((mixed + refined) >> 1, 64, ONE - 64))
            self.counters.learn((*refinement, k + (2 * f >= 176)), bit)
        error = 2 * ((ONE if bit else 0) - mixed)
        for i, key in enumerate(keys):
            weights[i] += (odds[i] * error + (1 << 23)) >> 24
            self.counters.learn(key, bit)
        return bit

    def move(self, where, y, x, least, most, label=None):
        steps = 0
        if self.at(where, y, x) == label:
            while steps < most and self.at(where, y, x + steps) == label:
                steps += 1
        else:
            while steps > -least and self.at(where, y, x + steps - 1) != label:
                steps -= 1
        return steps

    def edges(self, name, y, x):
        """The contexts, and their bits."""
        left, above = self.at((0, 0, -1), y, x), self.at((0, -1, 0), y, x)

        def move(dz, dy, dx, least=8, most=8, label=left):
            return self.move((dz, dy, dx), y, x, least, most, label)

        def octal(number):
            return kept(number, -4, 3) + 4

        def fine(number):
            return kept(number, -7, 8) + 7

        if self.deep:
            one, now = move(0, -1, 0), move(-1, 0, 0)
            two = move(0, -2, kept(one, -4, 4))
            three = move(0, -3, kept(one + two, -6, 6))
            near = [move(-1, -1, 0), move(-1, 2, 0), move(-2, 0, 0)]
            value = fine(now) + (octal(one) << 4)
            yield value + sum(octal(m) << 7 + 3 * i for i, m in enumerate(near)), 16
            value = fine(one) + (fine(now) << 4) + (octal(two) << 8) + (octal(move(-1, 1, 0)) << 11)
            value += (fine(move(-1, 2, 0)) << 14) + (octal(move(-1, 4, 0)) << 18)
            yield value + (octal(move(-2, 1, 0)) << 21), 24
            parts = [now + one - move(-1, -1, 0), 2 * now - move(-2, 0, 0), three]
            parts += [move(-1, 3, 0), two]
            value = sum(octal(part) << 3 * i for i, part in enumerate(parts))
            yield value + ((move(0, -1, 0, label=above) - 1) << 15), 18
            return
        if name == "same":
            k = move(0, -1, 0, 7, 7)
            one = move(0, -2, k, 6, 9)
            two = move(0, -3, k + one, 6, 6)
            three = move(0, -4, k + one + two, 4, 4)
            value = k + ((one + 6) << 3) + ((two + 6) << 7) + ((three + 4) << 11)
            value += (self.at((0, -1, -1), y, x) == left) << 15
            value += (self.at((0, -2, -1), y, x) == left) << 16
            yield value + ((self.at((0, -2, k), y, x) == self.at((0, -1, k), y, x)) << 17), 18
            return
        for k in range(16):
            a, b = self.at((0, 0, -1 - k), y, x), self.at((0, -1, -1 - k), y, x)
            if a != left or b != above:
                break
        kind = (a != left) + 2 * (b != above)
        kind = 5 if a == above else 4 if b == left else kind
        one = move(0, -2, -k, 9, 9)
        two = move(0, -3, one - k, 5, 5)
        yield k + (kind << 4) + ((one + 9) << 7) + ((two + 5) << 12), 16

    def run(self, y, x, flat):
        """How many of the flat voxels have W's label."""
        label, power = self.at((0, 0, -1), y, x), flat.bit_length() - 1
        places = (("start", x), ("middle", x + flat // 2), ("end", x + flat))

        def rings(name):
            value = bits = 0
            for part, at in places:
                for (where,) in TEMPLATES[f"{name} {part}"]:
                    value |= (self.at(where, y, at) == label) << bits
                    bits += 1
            return value

        if self.deep:
            key = ("run", 3, power * 512 + rings("run 3"))
        else:
            steps = self.steps(y, x + flat, label)
            index = min(power, 7) * 512 + steps[0] * 32 + steps[1] * 4 + steps[2]
            index = index * 4 + 2 * (self.at((0, -1, -2), y, x) == label)
            key = ("run", 2, index + (self.at((0, -2, flat // 2), y, x) == label))
        if self.effort == 1:
            whole = self.counters.decide(self.coder, key)
        else:
            keys = [key]
            for name in (f"run {self.kind} more {n}" for n in (1, 2)):
                keys.append((name, self.spread(min(power, 7) + 8 * rings(name), 18)))
            whole = self.mix(keys, ("run", self.deep, min(power, 7)), None)
        if whole:
            return flat
        if self.deep:
            return self.counters.number(self.coder, power + 1, "break", power, 3)
        return flat - 1 - self.back(flat, steps)

    def steps(self, y, end, label):
        if end == self.nx:
            last = [self.at((0, dy, -1), y, end) == label for dy in (-2, -3)]
            return 15, last[0] + 2 * last[1], 0
        one = self.move((0, -2, 1), y, end, 3, 12, label)
        two = self.move((0, -3, 1 + one), y, end, 2, 5, label)
        three = self.move((0, -4, 1 + one + two), y, end, 2, 1, label)
        return one + 3, two + 2, three + 2

    def back(self, flat, steps):
        most = min(12, flat - 1)
        for done in range(most):
            if self.decide("steps", ((steps[0] * 12 + done) * 8 + steps[1]) * 4 + steps[2]):
                return done
        bits = max(flat - 13, 0).bit_length()
        return most + (self.counters.number(self.coder, bits, "break", bits) if bits else 0)
