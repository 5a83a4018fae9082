"""Stage 07: measuring how good the pictures are."""

from typing import Any

import torch
from jaxtyping import Float, Float64, Int64, Integer
from torch import Tensor

from .calling import Complaint
from .exercise import Case, Exercise, Wrong, case, variant


def as_number(output: Any, empty: bool) -> object:
    """A number, or a tensor or array with one, as a tensor; where nothing counts, nan becomes a tensor without values.

    (So nan can be told from numbers, which it equals or differs from in no useful way.)
    """
    if output is ...:
        return output
    if isinstance(output, complex):
        raise Complaint("The result is a complex number: take its real part.")
    if getattr(output, "shape", ()) not in ((), (1,)):
        raise Complaint(f"Return one number, not something of shape {tuple(output.shape)}.")
    if not isinstance(output, int | float) and not hasattr(output, "item"):
        raise Complaint(f"Return a number, not something of type {type(output).__name__}.")
    value = torch.tensor(float(output), dtype=torch.float64)
    return value[None][:0] if empty and value.isnan() else value


# --- 7.1 mean and covariance ---


def feature_statistics(features: Float[Tensor, "n d"]) -> tuple[Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """Mean and covariance of n feature vectors in float64; the covariance divides by n - 1."""
    features = features.double()
    mean = features.mean(0)
    centred = features - mean
    return mean, centred.T @ centred / (len(features) - 1)


def _features(n: int, d: int, mean: float = 1.0) -> Tensor:
    """Correlated feature vectors with a mean away from zero."""
    return torch.randn(n, d) @ torch.randn(d, d) + mean * (1 + torch.rand(d))


def _statistics_cases() -> list[Case]:
    return [
        case("7 vectors of 3 features", _features(7, 3), gradient=False),
        case("fewer vectors than features", _features(3, 5), gradient=False),
        case("as many vectors as features", _features(4, 4), gradient=False),
        case("two features", _features(5, 2), gradient=False),
        case("a large mean, where float32 loses digits", _features(6, 2, 5e4), gradient=False),
        case("float64", _features(6, 3).double(), gradient=False),
    ]


def _covariance_of(wrong: Wrong, centred: Tensor) -> Tensor:
    cov = centred.T @ centred
    if "sum" not in wrong:
        cov = cov / (len(centred) - ("biased" not in wrong))
    if "diagonal" in wrong:
        cov = torch.diag(cov.diagonal())
    if "correlation" in wrong:
        deviation = cov.diagonal().sqrt()
        cov = cov / torch.outer(deviation, deviation)
    return cov.sign() * cov.abs().sqrt() if "square_rooted" in wrong else cov


def _statistics_mistaken(wrong: Wrong, features: Tensor) -> tuple[Tensor, Tensor]:
    x = features if {"single", "late"} & wrong else features.double()
    mean = x.mean(1 if "transposed" in wrong else 0)
    if "rows" in wrong:
        centred = x - x.mean(1, keepdim=True)
        return mean, centred @ centred.T / (x.shape[1] - 1)
    if "transposed" in wrong:
        x = x.T
    cov = _covariance_of(wrong, x if "not_centred" in wrong else x - mean)
    if "one_mean" in wrong:
        mean = mean.sum().expand(len(mean)) / len(mean)
    if "late" in wrong:
        mean, cov = mean.double(), cov.double()
    return (cov, mean) if "swapped" in wrong else (mean, cov)


_STATISTICS = Exercise(
    stage="07",
    title="Mean and covariance of features",
    goal="boil a set of pictures down to the two things that FID looks at",
    minutes=10,
    difficulty=1,
    reference=feature_statistics,
    cases=_statistics_cases,
    mistaken=_statistics_mistaken,
    mistakes={
        "biased": "The covariance divides by n; FID's divides by n - 1, as an estimate from a sample does.",
        "sum": "The products are added up but not divided by n - 1.",
        "not_centred": "The mean isn't subtracted before multiplying.",
        "rows": "The covariance is that of the pictures, (n, n); it has to be that of the features, (d, d). torch.cov "
        "wants the features in the rows: torch.cov(features.T).",
        "transposed": "Pictures and features are exchanged: the mean has one number a feature, over the pictures "
        "(axis 0), and the covariance is (d, d).",
        "single": "The statistics are computed in float32; a difference of large traces needs float64: .double() "
        "first.",
        "late": "The statistics are computed in float32 and turned into float64 at the end, when the digits are lost: "
        ".double() first.",
        "diagonal": "Only the variances are there; the covariance has the products of different features too.",
        "correlation": "That is the correlation; the covariance isn't divided by the deviations.",
        "square_rooted": "You took the root; the covariance holds squared units.",
        "one_mean": "The mean is one number; every feature has its own.",
        "swapped": "The order is: the mean, then the covariance.",
    },
    hints=(
        "n vectors, d features. The mean goes over the vectors; the covariance has a row and a column for each "
        "feature.",
        "features.double() first. centred = features - mean; a matrix product of shape (d, n) times (n, d), over n - "
        "1.",
        "return mean, centred.T @ centred / (len(features) - 1)",
    ),
    tolerance=1e-6,
)


# --- 7.2 one batch after the other ---


def update_statistics(
    count: int, mean: Float64[Tensor, " d"], scatter: Float64[Tensor, "d d"], batch: Float64[Tensor, "n d"]
) -> tuple[int, Float64[Tensor, " d"], Float64[Tensor, "d d"]]:
    """(count, mean, scatter) of everything so far and `batch`; scatter = sum of (x - mean)(x - mean)^T."""
    batch_mean = batch.mean(0)
    centred = batch - batch_mean
    total = count + len(batch)
    shift = batch_mean - mean
    scatter = scatter + centred.T @ centred + torch.outer(shift, shift) * count * len(batch) / total
    return total, mean + shift * len(batch) / total, scatter


def _update_cases() -> list[Case]:
    def one(text: str, count: int, n: int, d: int) -> Case:
        before, batch = _features(max(count, 1), d).double(), _features(n, d, 3.0).double()
        mean = before.mean(0)
        scatter = (before - mean).T @ (before - mean)
        if count == 0:
            mean, scatter = torch.zeros_like(mean), torch.zeros_like(scatter)
        return case(text, count, mean, scatter, batch, gradient=False)

    return [
        one("5 vectors so far, 4 more", 5, 4, 3),
        one("the first batch", 0, 4, 3),
        one("a batch of one vector", 6, 1, 2),
        one("one vector so far", 1, 3, 2),
        one("many so far, two more", 400, 2, 2),
        one("two batches of the same size", 3, 3, 2),
    ]


def _weight(wrong: Wrong, count: int, n: int, total: int) -> float:
    """Of the distance of the two means."""
    if {"no_shift", "old_centre", "new_centre"} & wrong:
        return 0.0
    weights = {"weight_one": 1.0, "weight_share": n / total, "weight_product": float(count * n)}
    weight = variant(wrong, count * n / total, **weights)
    return weight / total if "shift_mean" in wrong else weight


def _between(wrong: Wrong, shift: Tensor, weight: float) -> Tensor:
    """The distance of the two means as a matrix, or what is taken for it."""
    products = {"shift_vector": shift * shift, "shift_diagonal": torch.diag(shift.square())}
    return variant(wrong, torch.outer(shift, shift), **products) * weight


def _update_mistaken(
    wrong: Wrong, count: int, mean: Tensor, scatter: Tensor, batch: Tensor
) -> tuple[int, Tensor, Tensor]:
    n, batch_mean = len(batch), batch.mean(0)
    total = count + (1 if "counts_one" in wrong else n)
    shift = batch_mean - mean
    means = {
        "last_mean": batch_mean,
        "weights_swapped": mean + shift * count / total,
        "momentum": 0.9 * mean + 0.1 * batch_mean,
        "plain_mean": (mean + batch_mean) / 2,
    }
    new_mean = variant(wrong, mean + shift * n / total, **means)
    centres = {
        "old_centre": mean,
        "old_and_shift": mean,
        "new_centre": new_mean,
        "new_and_shift": new_mean,
        "uncentred": torch.zeros_like(mean),
    }
    centred = batch - variant(wrong, batch_mean, **centres)
    inside = centred.T @ centred
    inside = variant(wrong, inside, averaged=inside / n, covariance=inside / (n - 1))
    between = _between(wrong, shift, _weight(wrong, count, n, total))
    new_scatter = inside + between if "forgotten" in wrong else scatter + inside + between
    return n if "count_of_batch" in wrong else total, new_mean, new_scatter


_UPDATE = Exercise(
    stage="07",
    title="Statistics one batch after the other",
    goal="gather mean and covariance of thousands of pictures without keeping their features",
    minutes=20,
    difficulty=3,
    reference=update_statistics,
    cases=_update_cases,
    mistaken=_update_mistaken,
    mistakes={
        "no_shift": "The term for the distance of the two means is missing: "
        "count * n / (count + n) * outer(shift, shift). Without it two far apart batches look like one.",
        "old_centre": "The batch is centred on the old mean (or the distance of the means has the weight n, which "
        "comes to the same); take its own mean, and add "
        "count * n / (count + n) * outer(shift, shift).",
        "new_centre": "The batch is centred on the new mean; but the old vectors' distance from the new mean counts "
        "too. Take the batch's own mean, and add count * n / (count + n) * outer(shift, shift).",
        "old_and_shift": "The batch is centred on the old mean, which holds the distance of the means already; take "
        "the batch's own mean.",
        "new_and_shift": "The batch is centred on the new mean, which holds part of the distance of the means already; "
        "take the batch's own mean.",
        "uncentred": "The batch's own mean isn't subtracted before multiplying.",
        "weight_share": "outer(shift, shift) has the weight count * n / (count + n); yours lacks the count.",
        "weight_product": "outer(shift, shift) has the weight count * n / (count + n); yours isn't divided.",
        "weight_one": "outer(shift, shift) has the weight count * n / (count + n); yours is 1.",
        "shift_vector": "shift * shift is a vector, which is added to every row; torch.outer(shift, shift) is the "
        "matrix.",
        "weights_swapped": "The mean moves by the batch's share, n / (count + n); you took the other share.",
        "last_mean": "The mean is that of the batch alone; it is that of everything so far.",
        "count_of_batch": "The count is that of the batch alone; it is that of everything so far.",
        "shift_mean": "The term for the distance of the means is divided by the total once too often: the weight is "
        "count * n / (count + n).",
        "shift_diagonal": "The distance of the means enters as a matrix, torch.outer(shift, shift), not only in the "
        "diagonal.",
        "averaged": "The batch's products are divided by n; the scatter is a sum, divided only at the very end.",
        "covariance": "You add the batch's covariance; the scatter is a sum, divided by n - 1 only at the very end.",
        "plain_mean": "The two means are averaged as if both stood for as many pictures; weight them by count and n.",
        "momentum": "That is a running average with momentum; here every picture has the same weight.",
        "forgotten": "The scatter so far is thrown away; add the new one to it.",
        "counts_one": "The count grows by the number of vectors in the batch, not by 1.",
    },
    hints=(
        "What would the mean of all be, if two groups have `count` and n members? And the scatter is the scatter "
        "inside each group plus that of the two means about the common one.",
        "shift = batch_mean - mean. New mean: mean + shift * n / (count + n). New scatter: old + the batch's about its "
        "own mean + outer(shift, shift) * count * n / (count + n).",
        "scatter = scatter + centred.T @ centred + torch.outer(shift, shift) * count * n / (count + n)",
    ),
    tolerance=1e-6,
)


# --- 7.3 Fréchet distance ---


def frechet_distance(
    mu1: Float64[Tensor, " d"], cov1: Float64[Tensor, "d d"], mu2: Float64[Tensor, " d"], cov2: Float64[Tensor, "d d"]
) -> float:
    """|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1^1/2 C2 C1^1/2)^1/2), for covariances that may be singular."""
    values, vectors = torch.linalg.eigh(cov1)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return float((mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * overlap)


def _covariance(d: int, rank: int, scale: float = 1.0) -> Tensor:
    x = scale * torch.randn(d, rank, dtype=torch.float64)
    return x @ x.T


def _frechet_cases() -> list[Case]:
    def one(text: str, d: int, rank1: int, rank2: int, scale: float = 1.0, shift: float = 1.0) -> Case:
        mu = torch.randn(2, d, dtype=torch.float64) * shift
        return case(text, mu[0], _covariance(d, rank1), mu[1], _covariance(d, rank2, scale), gradient=False)

    mu, cov = torch.randn(3).double(), _covariance(3, 3)
    diagonal = [torch.diag(torch.tensor(v).double()) for v in ([1.0, 4.0, 9.0], [4.0, 0.25, 9.0])]
    zero = torch.zeros(3, 3).double()
    return [
        one("3 features", 3, 5, 5),
        one("one feature", 1, 2, 2),
        one("6 features, one covariance much smaller", 6, 8, 8, 0.2),
        one("singular covariances: fewer pictures than features", 5, 2, 3),
        one("one singular, one not", 4, 1, 6),
        one("the same means", 4, 5, 5, shift=0.0),
        one("far means", 3, 4, 4, shift=30.0),
        case("the same Gaussian twice: 0", mu, cov, mu, cov, gradient=False),
        case("diagonal covariances", mu, diagonal[0], mu + 1, diagonal[1], gradient=False),
        case("a covariance of zero", mu, cov, mu - 1, zero, gradient=False),
    ]


def _sum_of_roots(values: Tensor) -> Tensor:
    return values.clamp(min=0).sqrt().sum()


def _overlap(wrong: Wrong, cov1: Tensor, cov2: Tensor) -> Tensor:
    """The trace of the root of both covariances."""
    if "elementwise" in wrong:
        return (cov1 @ cov2).clamp(min=0).sqrt().trace()
    if "flipped" in wrong:
        values, vectors = torch.linalg.eigh(cov1)
        root = vectors.T @ torch.diag(values.clamp(min=0).sqrt()) @ vectors
        return _sum_of_roots(torch.linalg.eigvalsh(root @ cov2 @ root))
    if "unsymmetric" in wrong:
        return _sum_of_roots(torch.linalg.eigvalsh(cov1 @ cov2))
    if "no_first_root" in wrong:
        return _sum_of_roots(torch.linalg.eigvalsh(cov1 @ cov2 @ cov1))
    if "no_root" in wrong:
        return (cov1 @ cov2).trace()
    if "roots_multiplied" in wrong:
        return (_root(cov1) @ _root(cov2)).trace()
    if "variances" in wrong:
        return (cov1.diagonal() * cov2.diagonal()).sqrt().sum()
    if "root_of_trace" in wrong:
        return (cov1 @ cov2).trace().clamp(min=0).sqrt()
    root = _root(cov1)
    return _sum_of_roots(torch.linalg.eigvalsh(root @ cov2 @ root))


def _frechet_mistaken(wrong: Wrong, mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    shift = mu1 - mu2
    distances = {
        "no_means": torch.zeros(()),
        "averaged": shift.square().mean(),
        "summed": shift.sum().square(),
        "not_squared": shift.norm(),
        "absolute": shift.abs().sum(),
    }
    means = variant(wrong, shift.square().sum(), **distances)
    if "only_means" in wrong:
        return float(means)
    traces = cov1.sum() + cov2.sum() if "matrix_sum" in wrong else cov1.trace() + cov2.trace()
    factor = variant(wrong, 2, no_overlap=0, once=1)
    sign = 1 if "plus" in wrong else -1
    total = means + traces + sign * factor * _overlap(wrong, cov1, cov2)
    return float(total.clamp(min=0).sqrt() if "root" in wrong else total)


def _root(cov: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(cov)
    return vectors * values.clamp(min=0).sqrt() @ vectors.T


_FRECHET = Exercise(
    stage="07",
    title="The Fréchet distance",
    goal="compare two sets of pictures by the Gaussians that their features look like",
    minutes=25,
    difficulty=3,
    reference=frechet_distance,
    cases=_frechet_cases,
    mistaken=_frechet_mistaken,
    mistakes={
        "not_squared": "The distance of the means enters squared: (mu1 - mu2).square().sum().",
        "absolute": "The means enter with the absolute distance; take the squared one.",
        "averaged": "The squared differences of the means are averaged; add them up.",
        "summed": "The differences of the means are added up before squaring; square each, then add.",
        "no_means": "The distance of the means is missing.",
        "only_means": "The covariances are missing.",
        "elementwise": "You take the root of each entry; the root of a matrix is another one, whose product with "
        "itself gives it back. Take eigenvalues: the trace of the root is the sum of their roots.",
        "flipped": "The eigenvectors are the columns: the root is vectors @ diag(...) @ vectors.T; yours has the T in "
        "front.",
        "unsymmetric": "C1 C2 isn't symmetric, and eigvalsh looks at one triangle only; take C1^1/2 C2 C1^1/2.",
        "no_first_root": "C1 itself stands on both sides of C2; it is the root of C1.",
        "no_root": "The root of the product of the covariances is missing.",
        "roots_multiplied": "You multiply the roots of both covariances; the root of the product is something else, "
        "unless both have the same eigenvectors.",
        "variances": "Only the variances, the diagonals, are compared; the whole covariances count.",
        "root_of_trace": "You take the root of the trace; it is the trace of the matrix's root, so the roots of the "
        "eigenvalues, added up.",
        "no_overlap": "The last term, -2 tr (C1 C2)^1/2, is missing: the distance of a set to itself must be 0.",
        "once": "The factor 2 before the root is missing: the distance of a set to itself must be 0.",
        "plus": "The last term has the wrong sign; it is subtracted.",
        "matrix_sum": "You add up all entries of the covariances; a trace adds up the diagonal.",
        "root": "You took the root of the result; FID is the squared distance.",
    },
    hints=(
        "Three terms: the means, the traces, and the trace of a matrix root. A symmetric matrix with no negative "
        "eigenvalue has a root: same eigenvectors, roots of the eigenvalues.",
        "torch.linalg.eigh gives values and vectors: root = vectors * values.sqrt() @ vectors.T. Rounding makes some "
        "values slightly negative where the matrix is singular: clamp(min=0) first. The trace of the second root needs "
        "eigenvalues only: torch.linalg.eigvalsh.",
        "overlap = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()",
    ),
)


# --- 7.4 confusion matrix ---


def confusion_matrix(
    prediction: Integer[Tensor, "n h w"], target: Integer[Tensor, "n h w"], num_classes: int, ignored: int
) -> Int64[Tensor, "num_classes num_classes"]:
    """counts[t, p]: pixels of class t that were called p; where target == ignored nothing counts."""
    counted = target != ignored
    target, prediction = target[counted].long(), prediction[counted].long()
    if ((prediction < 0) | (prediction >= num_classes)).any():
        raise ValueError("A prediction is outside of the classes.")
    pairs = torch.bincount(target * num_classes + prediction, minlength=num_classes**2)
    return pairs.view(num_classes, num_classes)


def _pixels(n: int, h: int, w: int, classes: int, ignored: int, share: float = 0.3) -> tuple[Tensor, Tensor]:
    """(prediction, target): half of the pixels right, a share of the target ignored."""
    target = torch.randint(classes, (n, h, w))
    prediction = torch.where(torch.rand(n, h, w) < 0.5, target, torch.randint(classes, (n, h, w)))
    return prediction, torch.where(torch.rand(n, h, w) < share, ignored, target)


def _confusion_cases() -> list[Case]:
    def one(text: str, n: int, h: int, w: int, classes: int, ignored: int = 255, share: float = 0.3) -> Case:
        return case(text, *_pixels(n, h, w, classes, ignored, share), classes, ignored)

    prediction, target = _pixels(2, 4, 4, 3, 255)
    beyond = prediction.clone()
    beyond[0, 0, 0], outside_target = 3, target.clone()
    outside_target[0, 0, 0] = 1
    negative = torch.where(beyond == 3, -1, beyond)
    unseen = torch.where(target == 255, 255, prediction)
    return [
        one("2 label maps, void is 255", 2, 4, 5, 3),
        one("no void", 1, 3, 4, 4, share=0.0),
        case("classes that never occur", *_pixels(2, 4, 3, 2, 255), 5, 255),
        one("void is -1", 2, 4, 4, 3, -1),
        one("void is 0, which is a class id too", 2, 4, 4, 3, 0),
        one("one class", 1, 3, 3, 1),
        case("predictions of 255 on void pixels", unseen, target, 3, 255),
        case("nothing but void", prediction, torch.full_like(target, 255), 3, 255),
        case("small integers (uint8)", prediction.byte(), target.byte(), 3, 255),
        case("20 classes as small integers (uint8)", *(m.byte() for m in _pixels(2, 6, 6, 20, 255)), 20, 255),
        case("a prediction beyond the last class, on a pixel that counts", beyond, outside_target, 3, 255),
        case("a prediction of -1, on a pixel that counts", negative, outside_target, 3, 255),
    ]  # fmt: skip


def _counted_pixels(
    wrong: Wrong, prediction: Tensor, target: Tensor, num_classes: int, ignored: int
) -> tuple[Tensor, Tensor]:
    """(prediction, target) of the pixels that count."""
    if "by_prediction" in wrong:
        counted = (prediction != ignored) & (target >= 0) & (target < num_classes)
    else:
        counted = target != ignored
    if "both" in wrong:
        counted = counted & (prediction != ignored)
    if {"void_last", "void_first"} & wrong:
        target = torch.where(counted, target, num_classes - 1 if "void_last" in wrong else 0)
        counted = (prediction >= 0) & (prediction < num_classes) | counted
    if "only_inside" in wrong:
        counted = (target >= 0) & (target < num_classes)
    return prediction[counted], target[counted]


def _counts(wrong: Wrong, prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """The matrix; where nothing was checked, class 3 of 3 lands in the next row."""
    index = target * num_classes + prediction
    if "overflow" in wrong:
        index = index.remainder(256)
    size = max([num_classes**2, *(index + 1).tolist()])
    index = index.remainder(size)
    counts = torch.bincount(index, minlength=size)
    if "once" in wrong:
        counts = counts.clamp(max=1)
    return counts[: num_classes**2].view(num_classes, num_classes)


def _confusion_mistaken(wrong: Wrong, prediction: Tensor, target: Tensor, num_classes: int, ignored: int) -> Tensor:
    void = 255 if "fixed_255" in wrong else ignored
    prediction, target = _counted_pixels(wrong, prediction.long(), target.long(), num_classes, void)
    outside = prediction < 0
    if "high_unchecked" not in wrong:
        outside = outside | (prediction >= num_classes)
    if "clamped" in wrong:
        prediction = prediction.clamp(0, num_classes - 1)
    elif "dropped" in wrong:
        target, prediction = target[~outside], prediction[~outside]
    elif outside.any() and "unchecked" not in wrong:
        raise ValueError
    counts = _counts(wrong, prediction, target, num_classes)
    if "floats" in wrong:
        counts = counts.float()
    if "shares" in wrong:
        counts = counts / counts.sum().clamp(min=1)
    if "rows" in wrong:
        counts = counts / counts.sum(1, keepdim=True).clamp(min=1)
    return counts.T.contiguous() if "transposed" in wrong else counts


_CONFUSION = Exercise(
    stage="07",
    title="The confusion matrix",
    goal="count, for every class, what its pixels were taken for, and leave void out",
    minutes=15,
    difficulty=2,
    reference=confusion_matrix,
    cases=_confusion_cases,
    mistaken=_confusion_mistaken,
    mistakes={
        "transposed": "Rows and columns are exchanged: the row is the target's class, the column the predicted one.",
        "void_last": "Pixels whose target is void (255) were counted, as the last class; they don't count at all.",
        "void_first": "Pixels whose target is void (255) were counted, as class 0; they don't count at all.",
        "by_prediction": "You leave out pixels by the prediction; it is the target that says which pixels count.",
        "both": "A pixel is left out only if its target is void, not if the prediction equals that id.",
        "fixed_255": "You always take 255 for void; take the argument `ignored` (it is -1 or 0 elsewhere).",
        "only_inside": "You leave out targets that aren't class ids; but `ignored` may be a class id too (0, in one of "
        "the cases): leave out target == ignored.",
        "once": "Every pair is counted once, however often it occurs: counts[target, prediction] += 1 with tensors "
        "adds 1 for each distinct pair. torch.bincount counts them all.",
        "unchecked": "A prediction outside of the classes isn't noticed: class 3 of 3 lands in the next row. Raise a "
        "ValueError if it is on a pixel that counts.",
        "high_unchecked": "A prediction beyond the last class isn't noticed, only a negative one: class 3 of 3 lands "
        "in the next row. Raise a ValueError.",
        "overflow": "Ids of 8 bits overflow when they are multiplied (class 19 of 20 would need 399): .long() first.",
        "clamped": "A prediction outside of the classes is taken for the nearest class; raise a ValueError.",
        "dropped": "A prediction outside of the classes is left out without a word; raise a ValueError.",
        "floats": "The counts are floats; they are whole numbers (int64): float32 can't count beyond 16 million.",
        "shares": "The counts are divided by their sum; keep whole pixels, so that batches can be added.",
        "rows": "Each row is divided by its sum; keep whole pixels, so that batches can be added.",
    },
    hints=(
        "Three steps: take the pixels that count, refuse predictions that are no class, count pairs. A pair of ids can "
        "be written as one number.",
        "counted = target != ignored; then target * num_classes + prediction is a number from 0 to num_classes**2 - 1; "
        "torch.bincount(..., minlength=num_classes**2) counts them, .view makes a matrix.",
        "pairs = torch.bincount(target * num_classes + prediction, minlength=num_classes**2)",
    ),
)


# --- 7.5 mIoU ---


def mean_iou(counts: Int64[Tensor, "c c"]) -> float:
    """Mean of hits / (in the target + predicted - hits) over the classes that occur in target or prediction."""
    hits = counts.diagonal().double()
    union = counts.sum(1) + counts.sum(0) - hits
    return (hits / union)[union > 0].mean().item()


def _iou_cases() -> list[Case]:
    def one(text: str, *rows: list[int]) -> Case:
        return case(text, torch.tensor(rows))

    return [
        one("3 classes", [5, 1, 2], [0, 7, 1], [3, 2, 9]),
        one("a class that is nowhere", [5, 0, 2], [0, 0, 0], [3, 0, 9]),
        one("a class that is only predicted", [5, 4, 2], [0, 0, 0], [3, 1, 9]),
        one("a class that is never predicted", [5, 0, 2], [4, 0, 3], [3, 0, 9]),
        one("all right", [3, 0], [0, 8]),
        one("all wrong", [0, 3], [2, 0]),
        one("one class", [6]),
        one("a rare and a common class", [1, 2, 0], [3, 900, 40], [0, 10, 30]),
        one("a class that is there, and predicted elsewhere", [0, 2, 0, 0], [3, 5, 0, 1], [0, 0, 0, 4], [0, 0, 0, 6]),
        one("a class that is only predicted, and one without a hit", [0, 3, 1], [2, 9, 4], [0, 0, 0]),
        one("nothing counted: nan", [0, 0], [0, 0]),
    ]


def _mean_of_all(wrong: Wrong, values: Tensor) -> float | None:
    """The mean where no class is left out; None where some are."""
    if "absent_0" in wrong:
        return values.nan_to_num(0.0).mean().item()
    if "absent_1" in wrong:
        return values.nan_to_num(1.0).mean().item()
    return values.mean().item() if "not_left_out" in wrong else None


def _kept_classes(wrong: Wrong, hits: Tensor, target: Tensor, predicted: Tensor, values: Tensor) -> Tensor:
    """Which classes take part in the mean."""
    kept = target + predicted > 0 if {"recall_nan", "precision_nan"} & wrong else ~values.isnan()
    if "predicted_only" in wrong:
        kept = kept & (predicted > 0)
    if "both_only" in wrong:
        kept = kept & (predicted > 0) & (target > 0)
    kept = kept & variant(wrong, torch.ones_like(kept), target_only=target > 0, hits_only=hits > 0)
    if "without_first" in wrong and "weighted" not in wrong:
        kept[0] = False
    return kept


def _iou_mistaken(wrong: Wrong, counts: Tensor) -> float:
    hits, target, predicted = counts.diagonal().double(), counts.sum(1).double(), counts.sum(0).double()
    if "total" in wrong:
        return (hits.sum() / (target + predicted - hits).sum()).item()
    if "accuracy" in wrong:
        return (hits.sum() / counts.sum()).item()
    unions = {
        "dice": (target + predicted) / 2,
        "no_hits": target + predicted - 2 * hits,
        "precision": predicted,
        "precision_nan": predicted,
        "recall": target,
        "recall_nan": target,
        "hits_twice": target + predicted,
    }
    values = hits / variant(wrong, target + predicted - hits, **unions)
    of_all = _mean_of_all(wrong, values)
    if of_all is not None:
        return of_all
    kept = _kept_classes(wrong, hits, target, predicted, values)
    if "weighted" in wrong:
        return ((values * target)[kept].sum() / target[kept].sum()).item()
    result = values[kept].mean()
    if "empty_0" in wrong:
        return result.nan_to_num(0.0).item()
    return result.item() * (100 if "percent" in wrong else 1)


_IOU = Exercise(
    stage="07",
    title="mIoU from the confusion matrix",
    goal="score every class alike, and say what becomes of a class that isn't there",
    minutes=15,
    difficulty=2,
    reference=mean_iou,
    cases=_iou_cases,
    mistaken=_iou_mistaken,
    mistakes={
        "absent_0": "A class that is neither in the target nor predicted counts as 0; it has no IoU (0 / 0) and is "
        "left out of the mean.",
        "absent_1": "A class that is neither in the target nor predicted counts as 1; it has no IoU (0 / 0) and is "
        "left out of the mean.",
        "not_left_out": "A class that is neither in the target nor predicted makes the mean nan; leave it out.",
        "target_only": "A class that is predicted but not in the target is left out; its IoU is 0 and counts.",
        "predicted_only": "A class that is in the target but never predicted is left out; its IoU is 0 and counts.",
        "both_only": "A class is left out unless it is both in the target and predicted; one of the two is enough.",
        "hits_only": "Classes without a hit are left out; their IoU is 0 and counts, if they are there at all.",
        "hits_twice": "The hits count twice in the union: target + predicted - hits.",
        "no_hits": "The union lacks the hits: it is target + predicted - hits.",
        "dice": "That is Dice (2 hits / (target + predicted)); IoU is hits / (target + predicted - hits).",
        "recall": "You divide by the pixels of the class in the target: that is its recall. Divide by the union.",
        "precision": "You divide by the pixels predicted as the class: that is its precision. Divide by the union.",
        "accuracy": "That is the share of right pixels, on which large classes decide; average the classes' IoU.",
        "recall_nan": "You divide by the pixels of the class in the target: that is its recall, and 0 / 0 for a class "
        "that is only predicted. Divide by the union.",
        "precision_nan": "You divide by the pixels predicted as the class: that is its precision, and 0 / 0 for a "
        "class that is never predicted. Divide by the union.",
        "total": "The hits and unions of all classes are added up first; take the mean of the classes' IoU.",
        "weighted": "The classes are weighted by their pixels; in mIoU every class counts alike.",
        "without_first": "Class 0 is left out; it counts like the others.",
        "percent": "The result is in percent; return a share between 0 and 1.",
        "empty_0": "Where nothing was counted the result is nan, not 0: there is no score.",
    },
    hints=(
        "Three numbers for each class: hits (the diagonal), pixels in the target (a row), pixels predicted (a column). "
        "The union counts each pixel once.",
        "union = row sums + column sums - hits. IoU = hits / union where union > 0; the mean of those.",
        "return (hits / union)[union > 0].mean().item()",
    ),
    observe=lambda output, counts: as_number(output, not counts.any()),
    tolerance=1e-4,
)


# --- 7.6 pixel accuracy ---


def pixel_accuracy(prediction: Integer[Tensor, "n h w"], target: Integer[Tensor, "n h w"], ignored: int) -> float:
    """Share of right pixels among those whose target isn't `ignored`, over the whole batch; nan if none counts."""
    counted = target != ignored
    return (prediction == target)[counted].double().mean().item()


def _accuracy_cases() -> list[Case]:
    prediction, target = _pixels(3, 4, 5, 4, 255)
    target[0, :3] = 255  # the pictures differ in how much of them counts
    prediction[1] = target[1] % 4
    return [
        case("3 pictures with different shares of void", prediction, target, 255),
        case("no void", *_pixels(1, 4, 4, 3, 255, 0.0), 255),
        case("void is -1", *_pixels(2, 3, 4, 3, -1), -1),
        case("void is 0", *_pixels(2, 3, 4, 3, 0), 0),
        case("255 predicted on void", torch.where(target == 255, 255, prediction), target, 255),
        case("255 predicted where a class is", torch.where(prediction == 1, 255, prediction), target, 255),
        case("a rare class", torch.zeros(1, 5, 5).long(), (torch.arange(25).view(1, 5, 5) == 7).long(), 255),
        case("small integers (uint8)", prediction.byte(), target.byte(), 255),
        case("nothing but void: nan", prediction, torch.full_like(target, 255), 255),
    ]


def _accuracy_mistaken(wrong: Wrong, prediction: Tensor, target: Tensor, ignored: int) -> float:
    void = 255 if "fixed_255" in wrong else ignored
    counted = (prediction if "by_prediction" in wrong else target) != void
    if "both" in wrong:
        counted = counted & (prediction != void)
    right = (prediction == target).double()
    if "void_wrong" in wrong:
        return ((right * counted).sum() / target.numel()).item()
    if "hits_on_void" in wrong:
        return (right.sum() / counted.sum()).item()
    if "void_right" in wrong:
        return torch.where(counted, right, 1.0).mean().item()
    if "all" in wrong:
        return right.mean().item()
    if "per_class" in wrong:
        values = [right[counted & (target == k)].mean() for k in target[counted].unique()]
        return torch.stack(values).mean().item() if values else torch.nan
    if "per_picture" in wrong:
        return ((right * counted).sum((1, 2)) / counted.sum((1, 2))).nanmean().item()
    result = right[counted].mean()
    result = variant(wrong, result, sum=right[counted].sum(), error=1 - result, percent=100 * result)
    return (result.nan_to_num(0.0) if "empty_0" in wrong else result).item()


_ACCURACY = Exercise(
    stage="07",
    title="Pixel accuracy",
    goal="count right pixels, and see why this score likes road and sky",
    minutes=10,
    difficulty=1,
    reference=pixel_accuracy,
    cases=_accuracy_cases,
    mistaken=_accuracy_mistaken,
    mistakes={
        "void_wrong": "Void pixels count as wrong; they don't count at all: divide by the number of pixels whose "
        "target isn't void.",
        "hits_on_void": "Right pixels are counted on void too, and divided by those that aren't void; leave void out "
        "of both.",
        "void_right": "Void pixels count as right; they don't count at all.",
        "all": "Void pixels take part: where the prediction is void too they are right, else wrong. Leave them out.",
        "by_prediction": "You leave out pixels by the prediction; it is the target that says which pixels count.",
        "both": "Pixels predicted as void are left out; if their target is a class they count, as wrong.",
        "fixed_255": "You always take 255 for void; take the argument `ignored`.",
        "per_picture": "Each picture's accuracy is computed and then averaged; count all pixels of the batch together.",
        "per_class": "That is the mean of the classes' accuracies; pixel accuracy counts all pixels alike.",
        "error": "That is the share of wrong pixels.",
        "percent": "The result is in percent; return a share between 0 and 1.",
        "sum": "That is the number of right pixels; divide by the number of pixels that count.",
        "empty_0": "Where nothing counts the result is nan, not 0: there is no score.",
    },
    hints=(
        "Two masks: where the prediction is right, and where the target counts.",
        "counted = target != ignored. The mean of (prediction == target) over the counted pixels only; a mask as index "
        "picks them, over all pictures at once.",
        "return (prediction == target)[counted].double().mean().item()",
    ),
    observe=lambda output, prediction, target, ignored: as_number(output, bool((target == ignored).all())),
    tolerance=1e-4,
)

EXERCISES = (_STATISTICS, _UPDATE, _FRECHET, _CONFUSION, _IOU, _ACCURACY)
