"""Check a dossier without Strop: python3 check_dossier.py DOSSIER.tar PUBLIC_KEY

The key is 64 hex digits; have it from the team by another way than the archive. Needs Python 3.11,
numpy and cryptography; unpacks and runs nothing. Every figure is computed anew from the scores by
its recipe. Exit code 0: all holds; 2: something does not; 1: it could not run.
"""

# fmt: off
# mypy: ignore-errors
import hashlib
import json
import math
import re
import sys
import tarfile
from collections.abc import Iterator
from statistics import NormalDist, fmean

import numpy as np
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from evaluators.statistics.draws import VERSION, draw

NAME, NORMAL = re.compile(r"[a-z0-9_]+(?:[./-][a-z0-9_]+)*"), NormalDist()
FILES, SIGNATURE, MAGIC = "files.json", "signature.txt", b"strop dossier 1\n"
def pack(files: dict[str, bytes]) -> bytes:
    """The one way to write these files: a TAR (ustar), sorted by name, without times or owners."""
    body = []
    for name in sorted(files):
        info = tarfile.TarInfo(name)
        info.size = len(files[name])
        body += [info.tobuf(tarfile.USTAR_FORMAT), files[name], bytes(-info.size % 512)]
    return b"".join([*body, bytes(1024)])
def unpack(raw: bytes) -> dict[str, bytes]:
    """The files of an archive that is, byte for byte, what `pack` makes; else ValueError."""
    files, at = {}, 0
    while raw[at : at + 1] > b"\0":
        name, size = raw[at : at + 100].rstrip(b"\0").decode(), int(raw[at + 124 : at + 135], 8)
        files[name], at = raw[at + 512 : at + 512 + size], at + 512 + max(0, size + -size % 512)
    if not files or not all(map(NAME.fullmatch, files)) or pack(files) != raw:
        raise ValueError("The archive is not, byte for byte, as a dossier is written.")
    return files
def verify(files: dict[str, bytes], key: str) -> None:
    """ValueError or InvalidSignature of what the holder of this key did not sign, file by file."""
    listed, said = files.get(FILES, b""), files.get(SIGNATURE, b"").decode("ascii", "replace")
    if not re.fullmatch("[0-9a-f]{64}\n[0-9a-f]{128}\n", said) or said[:64] != key:
        raise ValueError("It is not signed by this key.")
    signer = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
    signer.verify(bytes.fromhex(said[65:-1]), MAGIC + listed)
    rest = {name: data for name, data in files.items() if name not in (FILES, SIGNATURE)}
    if json.loads(listed) != {n: hashlib.sha256(data).hexdigest() for n, data in rest.items()}:
        raise ValueError("A file is not the one that was signed, or one was added or taken away.")

def student(level, freedom):  # two-sided quantile, by integrating the density
    x, w = np.polynomial.legendre.leggauss(64)
    unit = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(100):
        top = (low + high) / 2
        inside = unit * top * float(w @ np.cos(top * (x + 1) / 2) ** (freedom - 1))
        low, high = (top, high) if inside < level else (low, top)
    return math.sqrt(freedom) * math.tan(low)
def wilson(rate, n, z):  # Wilson 1927, JASA 22:209
    centre, wide = (rate + z * z / (2 * n)) / (1 + z * z / n), z / (1 + z * z / n)
    half = wide * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return max(0.0, centre - half) * (rate > 0), min(1.0, centre + half) if rate < 1 else 1.0
def variance(total, count):  # of a ratio of totals of clusters (Cochran 1977, ch. 6)
    apart = ((total - total.sum() / count.sum() * count) ** 2).sum()
    return float(len(total) / (len(total) - 1) * apart / count.sum() ** 2)
def expanded(level, clusters, narrow=1.0):  # Hesterberg 2015, Am. Stat. 69:371
    return min(2 * NORMAL.cdf(student(level, clusters - 1) * math.sqrt(narrow)) - 1, 1 - 1e-9)
def drawn_before(signature: str) -> str:  # why an interval cannot be drawn again, or ""
    same = "|ci:bootstrap" not in signature or f"|draws:{VERSION}|" in signature
    return "" if same else "its interval was drawn by another version of the bootstrap"
def resampled(sums, recipe):  # sums of resamples of whole clusters, drawn by the seed
    drawn = draw(len(sums), seed=recipe["seed"], resamples=recipe["resamples"])
    return np.concatenate([counts.astype(float) @ sums for counts in drawn])
def bootstrap_t(sums, recipe):  # Hall 1988, Ann. Statist. 16:927
    (t, c), level = sums.T, recipe["level"]
    level = expanded(level, len(sums)) if c.min() < c.max() else level
    mean = t.sum() / c.sum()
    error = np.sqrt(((t - mean * c) ** 2).sum()) / c.sum()
    t, c, tt, tc, cc = resampled(np.column_stack([t, c, t * t, t * c, c * c]), recipe).T
    spread = np.maximum((tt - 2 * (t / c) * tc + (t / c) ** 2 * cc) / c**2, 0.05 * error**2)
    ends = np.quantile((t / c - mean) / np.sqrt(spread), [(1 - level) / 2, (1 + level) / 2])
    return float(mean - ends[1] * error), float(mean - ends[0] * error)
def bca(sides, figure, recipe):  # Efron 1987, JASA 82:171; of two sides, the second less the first
    n, signed = len(sides[0]), list(zip([-1, 1][-len(sides) :], sides, strict=True))
    value, drawn, gone = (sum(sign * figure(take(side)) for sign, side in signed) for take in (
        lambda x: x.sum(axis=0), lambda x: resampled(x, recipe), lambda x: x.sum(axis=0) - x))
    below = ((drawn < value).sum() + 0.5 * (drawn == value).sum()) / len(drawn)
    edge, apart = 1 / (len(drawn) + 1), gone.mean() - gone
    spread = (apart**2).sum() * (sides[0].size <= 200_000_000)
    skew = (apart**3).sum() / (6 * spread**1.5) if spread > 0 else 0.0
    bias = NORMAL.inv_cdf(float(np.clip(below, edge, 1 - edge)))
    level = expanded(recipe["level"], n, n / (n - 1))
    ends = [bias + NORMAL.inv_cdf(tail) for tail in ((1 - level) / 2, (1 + level) / 2)]
    return tuple(np.quantile(drawn, [NORMAL.cdf(bias + z / (1 - skew * z)) for z in ends]).tolist())
def of_rates(sums, gains, two, level, z):  # Korn and Graubard 1998; paired: Agresti and Min 2005
    clusters, n, (won, lost) = len(sums), sums[:, 1].sum(), gains.sum(axis=0)
    size, plain = n, (won + lost - (won - lost) ** 2 / n) / n**2
    if clusters < n:
        z, real = student(level, clusters - 1), variance(gains[:, 0] - gains[:, 1], sums[:, 1])
        size = min(n, n * plain / real) if real > 0 and plain > 0 else clusters
    if not two:
        return wilson(won / n, size, z)
    b, c, total = won * size / n + 0.5, lost * size / n + 0.5, size + 2
    half = z * math.sqrt((b + c) - (b - c) ** 2 / total) / total
    return max(-1.0, (b - c) / total - half), min(1.0, (b - c) / total + half)
def bounds(sides, figure, mean, value, recipe, z):  # of a figure that is no rate, or of two
    last, two, scale = sides[-1], len(sides) == 2, recipe["scale"]
    if mean:
        sums = np.column_stack([last[:, 0] - sides[0][:, 0] * two, last[:, 1]])
        alike = variance(*sums.T) <= 1e-24 * max(1.0, value * value)
        low, high = (0.0, 0.0) if alike else bootstrap_t(sums, recipe)
        if not two and scale is not None and 0 <= value <= scale:
            low, high = max(0.0, low), min(scale, high)
    else:
        low, high = bca(sides, figure, recipe)
        alike = high - low <= 1e-12 * max(1.0, abs(value))
    if not alike:
        return low, high
    if scale is None or not (two or -1e-9 <= value / scale <= 1 + 1e-9):
        return None, None
    rare, share = wilson(0.0, len(last), z)[1], min(max(value / scale, 0.0), 1.0)
    if two:
        return (1 - rare) * value - rare * scale, (1 - rare) * value + rare * scale
    return tuple(end * scale for end in wilson(share, len(last), z))
def agreed(value, low, high, p, level, z):  # both on 0 (Altman and Bland 2011; Miettinen 1976)
    if low is None or (low <= 0 <= high) == (p >= 1 - level):
        return low, high, p
    if low <= 0 <= high:
        half = value - low if value > 0 else high - value
        return low, high, max(2 * NORMAL.cdf(-z * abs(value) / half) if value else 1.0, 1 - level)
    tested = NORMAL.inv_cdf(1 - p / 2)
    beyond = abs(value) * (z / tested - 1) if tested > 0 else math.inf
    return (-min(beyond, high), high, p) if low > 0 else (low, min(beyond, -low), p)
def swapped(sides, figure, recipe):  # sides of clusters swapped (Riezler and Maxwell 2005)
    before, after, rng = *(x.sum(axis=0) for x in sides), np.random.default_rng([recipe["seed"], 1])
    least, most = abs(figure(after) - figure(before)) * (1 - 1e-9), recipe["resamples"]
    sizes = [(min(50, most - at), len(sides[0])) for at in range(0, most, 50)]
    moves = (rng.integers(0, 2, size=size) @ (sides[1] - sides[0]) for size in sizes)
    extreme = sum(int((abs(figure(after - m) - figure(before + m)) >= least).sum()) for m in moves)
    return (extreme + 1) / (most + 1)
def mcnemar(won, lost):  # McNemar 1947, exact
    n, few = int(won + lost), int(min(won, lost))
    return min(1.0, 2 * sum(math.comb(n, k) for k in range(few + 1)) / 2**n)

def over(part, whole):
    return part / np.where(whole > 0, whole, 1)
def labels(name, sums):  # from hits, predicted and true counts of each class
    hit, said, true = np.split(sums, 3, axis=-1)
    if name == "f1_micro":
        return 2 * hit.sum(-1) / (said + true).sum(-1)
    part, whole = (2 * hit, said + true) if "f1" in name else (hit, [true, said][name[0] == "p"])
    weight = {"f1_weighted": true, "balanced_accuracy": true > 0}.get(name, said + true > 0)
    return (over(part, whole) * weight).sum(-1) / weight.sum(-1)
def bleu(sums):  # Papineni et al. 2002, smoothed as by Chen and Cherry 2014, method 3
    length, reference, hits, total = sums[..., 0], sums[..., 1], sums[..., 2:6], sums[..., 6:]
    short = np.where(length < reference, np.exp(1 - over(reference, length)), 1.0)
    found = (length > 0) & hits.any(-1) & (total > 0).all(-1)
    hits = np.where(hits > 0, hits, 0.5 ** np.cumsum(hits == 0, axis=-1))
    logs = np.log(np.where(total > 0, 100 * over(hits, total), 1.0)).mean(-1)
    return np.where(found, short * np.exp(logs), 0.0)
def chrf(sums):  # Popovic 2015, beta 2
    said, true, match = np.moveaxis(sums.reshape(*sums.shape[:-1], -1, 3), -1, 0)
    used = (said > 0) & (true > 0)
    p, r = ((over(match, n) * used).sum(-1) / np.maximum(used.sum(-1), 1) for n in (said, true))
    return 100 * over(5 * p * r, 4 * p + r)
FIGURES = {
    "mean": lambda s: s[..., 0] / s[..., 1], "bleu": bleu, "chrf": chrf,
    "multilabel_f1": lambda s: np.where(s[..., 1] > 0, 2 * over(s[..., 0], s[..., 1]), 1.0),
    "ter": lambda s: 100 * np.where(s[..., 1] > 0, over(s[..., 0], s[..., 1]), s[..., 0] > 0)}
def rows_of(name, scores):  # what is summed, shape (scores, k)
    if name in FIGURES:
        return np.array([[s[0], 1] if name == "mean" else s[2:] for s in scores], dtype=float)
    classes = sorted({label for score in scores for label in score[2:]})
    said, true = (np.eye(len(classes))[[classes.index(s[i]) for s in scores]] for i in (2, 3))
    return np.hstack([said * true, said, true])
def of_scores(entry: dict, scores: list, places: dict) -> dict:  # of a model, or of two
    recipe, name, models, where = (entry[k] for k in ("recipe", "summary", "models", "slice"))
    figure, two = FIGURES.get(name, lambda s: labels(name, s)), len(models) == 2
    scale, level, z = recipe["scale"], recipe["level"], NORMAL.inv_cdf(0.5 + recipe["level"] / 2)
    sides = [{(e, i): rest for model, e, i, *rest in scores
              if model == wanted and places[e][1].items() >= where.items()} for wanted in models]
    units = [unit for unit in sides[0] if unit in sides[-1]]
    kept, known = [u for u in units if all(side[u][0] is not None for side in sides)], {}
    member = [known.setdefault(places[unit[0]][0] or unit, len(known)) for unit in kept]
    values = np.array([[side[unit][0] for unit in kept] for side in sides])
    rows = np.split(rows_of(name, [side[u] for side in sides for u in kept]), len(sides))
    sums, gains = np.zeros((len(sides), len(known), rows[0].shape[1])), np.zeros((len(known), 2))
    for total, each in zip(sums, rows, strict=True):
        np.add.at(total, member, each)
    figures, change = [float(figure(x.sum(axis=0))) for x in sums], values[-1] - values[0] * two
    value = figures[-1] - figures[0] * two
    hits = name == "mean" and scale == 1 and {*values.flat} <= {0, 1}
    np.add.at(gains, member, np.column_stack([change > 0, change < 0]))
    if len(known) == 1 and not (hits and len(kept) == 1):
        low, high = -scale * two, scale
    elif hits:
        low, high = of_rates(sums[-1], gains, two, level, z)
    else:
        low, high = bounds(sums, figure, name == "mean", value, recipe, z)
    failed, p = sum(any(side[unit][1] == "e" for side in sides) for unit in units), None
    if two:
        exact = hits and len(known) == len(kept)
        p = mcnemar(*gains.sum(axis=0)) if exact else swapped(sums, figure, recipe)
        low, high, p = agreed(value, low, high, p, level, z)
    return {"value": value, "low": low, "high": high, "n": len(kept), "failed": failed, "p": p}
def of_votes(entry: dict) -> dict:  # bounds at every look (Waudby-Smith and Ramdas 2024)
    low, high, grid = [0.0], [1.0], np.linspace(0, 1, 1001)[1:-1, None]
    alpha = (1 - entry["recipe"]["level"]) / len(entry["recipe"]["batches"])
    for size in entry["recipe"]["batches"]:
        came, entered = {}, {}
        for points, cluster in entry["cast"]:
            (there := came.setdefault(cluster, [])).append(points)
            judged = [one for one in there if one is not None]
            if judged and len(there) >= min(size, entry["plan"].get(cluster, 1)):
                entered.setdefault(cluster, fmean(judged))
        x, t = np.array([*entered.values()]), np.arange(1, len(entered) + 1)
        spread = (0.25 + np.cumsum((x - (0.5 + np.cumsum(x)) / (t + 1)) ** 2)) / (t + 1)
        before = np.concatenate([[0.25], spread])[: len(x)]
        bets = np.sqrt(2 * math.log(2 / alpha) / (before * t * np.log1p(t)))
        up = np.cumsum(np.log1p(np.minimum(bets, 0.5 / grid) * (x - grid)), -1)
        down = np.cumsum(np.log1p(-np.minimum(bets, 0.5 / (1 - grid)) * (x - grid)), -1)
        left = (np.maximum.accumulate(np.maximum(up, down), -1) < math.log(2 / alpha)).T
        held = grid[[stays for stays in left if stays.any()][-1], 0] if len(x) else grid[:, 0]
        low.append(held[0] - (1 - 1e-6) / 1000 if held[0] > 0.0015 else 0.0)
        high.append(held[-1] + (1 - 1e-6) / 1000 if held[-1] < 0.9985 else 1.0)
    stand = {}
    for points, cluster in entry["stand"]:
        stand.setdefault(cluster, []).append(points)
    value, turn = fmean(map(fmean, stand.values())), entry["turned"]
    ends = sorted(1 - end if turn else end for end in (max(low), min(high)))
    return {"value": 1 - value if turn else value, "low": ends[0], "high": ends[1], "n": len(stand)}

def judged(line: dict) -> str:  # a line's whole interval has to lie on one side of its bar
    said, sign = line["evidence"], 1 if line["direction"] == "higher" else -1
    if said is None or (line.get("by") and said["n_simulated"]):
        return "INCONCLUSIVE"
    margin = -line["guardrail"] if line.get("guardrail") is not None else line["margin"]
    least = sign * line["threshold"] if margin is None else margin
    low, high = sorted((sign * said["low"], sign * said["high"]))
    return "PASS" if low >= least else "FAIL" if high < least else "INCONCLUSIVE"
def same(one: float | None, other: float | None) -> bool:
    return one is other or (None not in (one, other) and bool(np.isclose(one, other, 1e-9, 1e-9)))
def faults(files: dict[str, bytes]) -> Iterator[tuple[str, str]]:  # (what, "" or what is wrong)
    known = {name: json.loads(data) for name, data in files.items() if name.endswith(".json")}
    bar, figures = known["bar.json"], {one["id"]: one for one in known["figures.json"]}
    for what, one in figures.items():
        if why := one["why_not"] or drawn_before(one["signature"]):
            yield what, f"NOT RECOMPUTED: {why}"
            continue
        scores = known.get(one.get("scores"))
        found = of_scores(one, scores, known["examples.json"]) if scores else of_votes(one)
        wrong = [key for key, value in found.items() if not same(value, one["said"][key])]
        yield what, "; ".join(f"{k} is {one['said'][k]} and comes to {found[k]}" for k in wrong)
    for line in bar["lines"]:
        said, rests = line["evidence"], figures[line["figure"]]["said"] if line["figure"] else None
        right = said is rests or all(same(said[k], rests[k]) for k in ("value", "low", "high"))
        yield line["title"], "" if right and judged(line) == line["verdict"] else "does not follow"
    verdicts = {bar["preflight"], *(line["verdict"] for line in bar["lines"])}
    worst = next(word for word in ("FAIL", "INCONCLUSIVE", "PASS") if word in verdicts)
    yield "verdict", "" if worst == bar["verdict"] else f"its lines come to {worst}"
    for one in known["digests.json"]:
        again = hashlib.sha256("\n".join(one["rows"]).encode()).hexdigest()
        yield one["what"], "" if again == one["sha256"] else f"its rows come to {again}"
    shared = {*known["leaks.json"]["taught"]} & {*known["leaks.json"]["held_out"]}
    yield "leaks", f"{len(shared)} prompts were both taught and tested" if shared else ""
def main(arguments: list[str]) -> int:
    try:
        with open(arguments[0], "rb") as stream:
            files = unpack(stream.read())
        verify(files, arguments[1].strip().lower())
    except (OSError, IndexError, ValueError, InvalidSignature) as error:
        print(f"REFUSED: {error or 'the signature does not hold'}" if arguments[1:] else __doc__)
        return 2 if isinstance(error, ValueError | InvalidSignature) else 1
    found = [(what, why or "holds") for what, why in faults(files)]
    print(files["index.md"].decode().split("\n")[0], *(": ".join(one) for one in found), sep="\n")
    return 2 if any(why != "holds" and not why.startswith("NOT") for _, why in found) else 0
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
